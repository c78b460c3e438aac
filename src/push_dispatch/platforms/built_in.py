"""What does each platform of ours declare?

Here and not in the classes, so that it can be printed without importing a client library: by
`push-dispatch platform ls` and in docs/reference/capabilities.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from push_dispatch.platforms.base import Capabilities

__all__ = ["BUILT_IN"]

#: RunTask's token is good for a day; nothing finds a task by it.
_ECS = Capabilities(
    reads_logs=True,
    reports_events=True,
    event_sources=("aws.ecs",),
    estimates_cost=True,
    signs_in=True,
    passes_secrets=True,
)
#: By the platform's name.
BUILT_IN: Mapping[str, Capabilities] = {
    "ecs": _ECS,
    "managed": _ECS,
    "cloud-run": Capabilities(
        finds_by_name=True,
        reads_logs=True,
        cleans_up=True,
        estimates_cost=True,
        signs_in=True,
        passes_secrets=True,
        own_secrets=r"projects/[\w-]+/secrets/[\w-]+(/versions/\w+)?",
    ),
    "aci": Capabilities(
        finds_by_name=True,
        reads_logs=True,
        cleans_up=True,
        estimates_cost=True,
        signs_in=True,
        passes_secrets=True,
        logs_go_too=True,
    ),
    "modal": Capabilities(
        finds_by_name=True, reads_logs=True, estimates_cost=True, signs_in=True, passes_secrets=True
    ),
    "kubernetes": Capabilities(
        finds_by_name=True, reads_logs=True, signs_in=True, passes_secrets=True
    ),
    "vertex": Capabilities(finds_by_name=True, reads_logs=True, estimates_cost=True, signs_in=True),
    "docker": Capabilities(
        finds_by_name=True, reads_logs=True, cleans_up=True, signs_in=True, logs_go_too=True
    ),
    "coiled": Capabilities(finds_by_name=True, reads_logs=True, signs_in=True, passes_secrets=True),
    "process": Capabilities(
        finds_by_name=True,
        reads_logs=True,
        reports_events=True,
        event_sources=("push-dispatch.process",),
    ),
}
