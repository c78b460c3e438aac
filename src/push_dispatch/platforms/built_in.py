"""What does each platform of ours declare?

Here and not in the classes, so that it can be printed without importing a client library: by
`push-dispatch platform ls` and in docs/reference/capabilities.md.
"""

from __future__ import annotations

from push_dispatch.platforms.base import Capabilities

__all__ = [
    "ACI",
    "CLOUD_RUN",
    "COILED",
    "DOCKER",
    "ECS",
    "KUBERNETES",
    "MODAL",
    "PROCESS",
    "VERTEX",
]

# Also managed. RunTask's token is good for a day; nothing finds a task by it.
ECS = Capabilities(
    reads_logs=True,
    reports_events=True,
    event_sources=("aws.ecs",),
    estimates_cost=True,
    signs_in=True,
    passes_secrets=True,
)
CLOUD_RUN = Capabilities(
    finds_by_name=True, reads_logs=True, cleans_up=True, estimates_cost=True, signs_in=True
)
ACI = Capabilities(
    finds_by_name=True,
    reads_logs=True,
    cleans_up=True,
    estimates_cost=True,
    signs_in=True,
    passes_secrets=True,
    logs_go_too=True,
)
MODAL = Capabilities(
    finds_by_name=True, reads_logs=True, estimates_cost=True, signs_in=True, passes_secrets=True
)
KUBERNETES = Capabilities(finds_by_name=True, reads_logs=True, signs_in=True, passes_secrets=True)
VERTEX = Capabilities(finds_by_name=True, reads_logs=True, estimates_cost=True, signs_in=True)
DOCKER = Capabilities(
    finds_by_name=True, reads_logs=True, cleans_up=True, signs_in=True, logs_go_too=True
)
COILED = Capabilities(finds_by_name=True, reads_logs=True, signs_in=True, passes_secrets=True)
PROCESS = Capabilities(
    finds_by_name=True,
    reads_logs=True,
    reports_events=True,
    event_sources=("push-dispatch.process",),
)
