"""Which container is made of a run's job configuration, and what does one say of its attempt?

Pure functions. The configuration has the shape of Prefect's docker worker; what it has no name for
goes through `container_create_kwargs` to docker-py's `containers.create` as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Job, Observation, Status, Watched

__all__ = [
    "ATTEMPT",
    "STARTING",
    "Order",
    "is_ours",
    "killed_at_a_limit",
    "order_for",
    "read",
]

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
        raise _invalid("no image is given: set the job variable `image`")
    networks = tuple(configuration.get("networks") or ())
    if networks and configuration.get("network_mode"):
        raise _invalid("`networks` and `network_mode` exclude each other")
    return Order(
        image=str(image),
        command=_command(configuration.get("command")),
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
    env = {**_pairs(extra.pop("environment", None)), **(configuration.get("env") or {})}
    labels = {**_pairs(extra.pop("labels", None)), **(configuration.get("labels") or {})}
    named = {
        "network": networks[0] if networks else None,
        "network_mode": configuration.get("network_mode"),
        "volumes": _volumes(configuration.get("volumes")),
        "mem_limit": configuration.get("mem_limit"),
        "memswap_limit": configuration.get("memswap_limit"),
        "privileged": configuration.get("privileged") or None,
    }
    fixed = {
        "name": job.name,
        "detach": True,
        # Its exit code is read from what is left of it; `clean_up` removes it afterwards.
        "auto_remove": False,
        "environment": {k: str(v) for k, v in env.items() if v is not None},
        "labels": {k: str(v) for k, v in labels.items()} | _labels(job),
    }
    return extra | {k: v for k, v in named.items() if v is not None} | fixed


def _labels(job: Job) -> dict[str, str]:
    return {ATTEMPT: job.name, RUN_ID: job.run_id, NUMBER: str(job.attempt)}


def _pairs(value: Any) -> dict[str, Any]:
    """docker-py takes environments as `["A=1"]` and labels as `["a"]`, too."""
    if isinstance(value, list):
        return {item.partition("=")[0]: item.partition("=")[2] for item in map(str, value)}
    return dict(value or {})


def _volumes(volumes: Any) -> Any:
    """Binds from here (`./data:/data`) are absolute for the engine."""
    if not isinstance(volumes, list):
        return volumes or None
    return [_absolute(str(volume)) for volume in volumes] or None


def _absolute(volume: str) -> str:
    source, colon, rest = volume.partition(":")
    return f"{Path(source).resolve()}{colon}{rest}" if source.startswith(".") else volume


def _command(command: Any) -> list[str] | None:
    if command is None or isinstance(command, list):
        return command
    try:
        return shlex.split(command)
    except ValueError as error:
        raise _invalid(f"command {command!r} cannot be split: {error}") from error


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


def _invalid(message: str) -> Rejected:
    return Rejected(message, reason="template_invalid")


# -- what a container says --------------------------------------------------------------------

#: Podman knows more states than Docker: configured, initialized, stopping, stopped.
STARTING = {"created", "configured", "initialized"}
_RUNNING = {"running", "paused", "restarting", "stopping"}
_ENDED = {"exited", "stopped", "dead", "removing"}
#: Exit codes that the engine gives to what could not be executed; the process has none.
_NOT_EXECUTED = {126, 127}


def read(
    watched: Watched, container: Mapping[str, Any], *, tells_memory: bool = True
) -> Observation:
    """The attempt as its inspected container shows it; `tells_memory` says whether the engine can
    be relied on to flag what it killed for its memory."""
    state = container.get("State") or {}
    status = str(state.get("Status") or "").lower()
    seen = Observation(watched.run_id, watched.attempt, Status.UNKNOWN, handle=watched.handle)
    if status in STARTING:
        return replace(seen, status=Status.STARTING)
    seen = replace(seen, started_at=_milliseconds(state.get("StartedAt")))
    if status in _RUNNING:
        return replace(seen, status=Status.RUNNING)
    if status not in _ENDED:
        return replace(seen, message=f"the engine says {status!r}")
    ended = replace(
        seen,
        status=Status.ENDED,
        exit_code=state.get("ExitCode"),
        ended_at=_milliseconds(state.get("FinishedAt")),
        message=state.get("Error") or None,
    )
    if state.get("OOMKilled"):
        return replace(ended, reason="out_of_memory")
    if not tells_memory and killed_at_a_limit(container):
        limit = container["HostConfig"]["Memory"]
        message = f"killed by SIGKILL, with a memory limit of {limit} bytes"
        return replace(ended, reason="out_of_memory", message=message)
    if status == "dead":
        return replace(ended, reason="infrastructure_failure")
    if ended.message and ended.exit_code in _NOT_EXECUTED:
        return replace(ended, reason="command_not_found", retryable=False)
    return ended


def killed_at_a_limit(container: Mapping[str, Any]) -> bool:
    """Whether it looks like a kill for memory that was not flagged as one."""
    state, limit = container.get("State") or {}, (container.get("HostConfig") or {}).get("Memory")
    return bool(limit) and state.get("ExitCode") == 137 and not state.get("OOMKilled")


def _milliseconds(timestamp: str | None) -> int | None:
    """Docker's zero time, the year 1, is for what has not happened."""
    if not timestamp or timestamp.startswith("0001-"):
        return None
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)
