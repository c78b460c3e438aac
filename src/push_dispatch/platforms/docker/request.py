"""Which container is made of a run's job configuration?

Pure functions. The configuration has the shape of Prefect's docker worker; what it has no name for
goes through `container_create_kwargs` to docker-py's `containers.create` as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from push_dispatch.platforms.base import Job
from push_dispatch.platforms.shared import invalid, texts, words

__all__ = ["ATTEMPT", "Order", "is_ours", "order_for"]

#: Labels of a container: its attempt, whose presence marks it as ours, and its run.
ATTEMPT = "push-dispatch.attempt"
RUN_ID = "push-dispatch.run"
NUMBER = "push-dispatch.number"


@dataclass(frozen=True, slots=True)
class Order:
    """A container to create."""

    image: str
    command: list[str] | None
    #: Keyword arguments of docker-py's `containers.create`.
    arguments: Mapping[str, Any]
    #: Networks to connect to after the first one, which it is created in.
    networks: tuple[str, ...]
    #: IfNotPresent, Always, IfPossible or Never.
    pull: str
    #: For the registry: username and password, or None to use the engine's own.
    credentials: Mapping[str, str] | None


def order_for(job: Job) -> Order:
    """The container to create. Raises Rejected (`template_invalid`)."""
    configuration = job.configuration
    image = configuration.get("image")
    if not image:
        raise invalid("no image is given: set the job variable `image`")
    networks = tuple(configuration.get("networks") or ())
    if networks and configuration.get("network_mode"):
        raise invalid("`networks` and `network_mode` exclude each other")
    return Order(
        image=str(image),
        command=words(configuration.get("command")) or None,
        arguments=_arguments(job, networks),
        networks=networks[1:],
        pull=configuration.get("image_pull_policy") or _default_policy(str(image)),
        credentials=_credentials(configuration.get("registry_credentials")),
    )


def is_ours(container: Mapping[str, Any], job: Job) -> bool:
    """Whether an inspected container is this very attempt."""
    labels = (container.get("Config") or {}).get("Labels") or {}
    return labels.get(ATTEMPT) == job.name and labels.get(RUN_ID) == job.run_id


# -- the order --------------------------------------------------------------------------------


def _arguments(job: Job, networks: tuple[str, ...]) -> dict[str, Any]:
    configuration = job.configuration
    extra = dict(configuration.get("container_create_kwargs") or {})
    own = configuration.get("env") or {}
    env = texts(_pairs(extra.pop("environment", None))) | texts(own)
    unset = {name for name, value in own.items() if value is None}
    labels = _pairs(extra.pop("labels", None)) | texts(configuration.get("labels"), "labels")
    named = {
        "network": networks[0] if networks else None,
        "network_mode": configuration.get("network_mode"),
        "volumes": _volumes(configuration.get("volumes")),
        "mem_limit": configuration.get("mem_limit"),
        "memswap_limit": configuration.get("memswap_limit"),
        "privileged": configuration.get("privileged") or None,
    }
    if configuration.get("network_mode") in {None, "bridge", "default"}:
        # As Prefect does it: a name for the engine's host, which Docker Desktop has by itself.
        hosts = {"host.docker.internal": "host-gateway"}
        extra["extra_hosts"] = hosts | _pairs(extra.get("extra_hosts"), ":")
    fixed = {
        "name": job.name,
        "detach": True,
        # Its exit code is read from what is left of it; `clean_up` removes it afterwards.
        "auto_remove": False,
        "environment": {name: value for name, value in env.items() if name not in unset},
        "labels": texts(labels, "labels") | _labels(job),
    }
    return extra | {k: v for k, v in named.items() if v is not None} | fixed


def _labels(job: Job) -> dict[str, str]:
    return {ATTEMPT: job.name, RUN_ID: job.run_id, NUMBER: str(job.attempt)}


def _pairs(value: Any, sign: str = "=") -> dict[str, Any]:
    """docker-py takes environments as `["A=1"]`, labels as `["a"]`, hosts as `["a:::1"]`, too."""
    if isinstance(value, list):
        return {item.partition(sign)[0]: item.partition(sign)[2] for item in map(str, value)}
    return dict(value or {})


def _volumes(volumes: Any) -> Any:
    """Binds from here (`./data:/data`) are absolute for the engine."""
    if not isinstance(volumes, list):
        return volumes or None
    return [_absolute(str(volume)) for volume in volumes] or None


def _absolute(volume: str) -> str:
    source, colon, rest = volume.partition(":")
    return f"{Path(source).resolve()}{colon}{rest}" if source.startswith(".") else volume


def _default_policy(image: str) -> str:
    """As Kubernetes does: what may change under its name is pulled each time."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    pinned = "@" in image or tag not in {"", "latest"}
    return "IfNotPresent" if pinned else "Always"


def _credentials(block: Any) -> Mapping[str, str] | None:
    if not isinstance(block, Mapping) or not block.get("username"):
        return None
    return {
        "username": str(block["username"]),
        "password": str(block.get("password") or ""),
        "serveraddress": str(block.get("registry_url") or ""),
    }
