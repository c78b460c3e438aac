"""Which sandbox is made of a run's job configuration? Pure functions.

The configuration has the variables of Prefect's `modal:push` template, one by one.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modal_proto import api_pb2

from push_dispatch.platforms.base import Job
from push_dispatch.platforms.shared import invalid, texts, words

__all__ = [
    "ATTEMPT",
    "RUN",
    "Image",
    "app_of",
    "definition_for",
    "image_of",
    "needs_v1",
    "tags_of",
]

#: Tags whose it is.
RUN, ATTEMPT = "push-dispatch-run", "push-dispatch-attempt"
#: A sandbox lives at most a day (https://modal.com/docs/guide/sandboxes).
_LONGEST_SECONDS = 86_400
_SECONDS = 300
#: Modal's names are shorter than that; those of pools may be longer with what comes before them.
_NAME_LENGTH = 64
_NOT_IN_A_TAG = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is there (`id`), or the commands that it is built of."""

    id: str = ""
    commands: tuple[str, ...] = ()
    #: Name of Modal's secret with the registry's credentials, and what kind of registry.
    secret: str = ""
    registry: str = ""


def app_of(job: Job) -> str:
    """The app whose sandboxes a pool's runs are."""
    name = f"push-dispatch-{job.pool}"
    if len(name) < _NAME_LENGTH:
        return name
    digest = hashlib.sha256(job.pool.encode()).hexdigest()[:8]
    return f"{name[: _NAME_LENGTH - 10]}-{digest}"


def image_of(configuration: Mapping[str, Any]) -> Image:
    """Raises Rejected (`template_invalid`)."""
    given = configuration.get("image")
    secret = registry = ""
    if isinstance(given, Mapping):
        for key, kind in (("secret", "STATIC_CREDS"), ("aws_secret", "AWS"), ("gcp_secret", "GCP")):
            if given.get(key):
                secret, registry = str(given[key]), f"REGISTRY_AUTH_TYPE_{kind}"
        given = given.get("tag")
    if not given:
        raise invalid("no image is given: set the job variable `image`")
    if str(given).startswith("im-"):
        return Image(id=str(given))
    packages = [str(package) for package in configuration.get("pip_packages") or ()]
    install = (f"RUN python -m pip install {shlex.join(packages)}",) if packages else ()
    return Image(commands=(f"FROM {given}", *install), secret=secret, registry=registry)


def needs_v1(configuration: Mapping[str, Any]) -> bool:
    """The second version of sandboxes has no GPUs."""
    return bool(configuration.get("gpu"))


def definition_for(job: Job, image_id: str, secret_ids: list[str]) -> api_pb2.Sandbox:
    """The sandbox. Raises Rejected (`template_invalid`)."""
    configuration = job.configuration
    region = configuration.get("region")
    regions = [region] if isinstance(region, str) else list(region or ())
    try:
        return api_pb2.Sandbox(
            name=job.name,
            image_id=image_id,
            entrypoint_args=_command(configuration),
            secret_ids=secret_ids,
            resources=_resources(configuration),
            timeout_secs=_seconds(job),
            workdir=_workdir(configuration),
            cloud_provider_str=str(configuration.get("cloud") or ""),
            scheduler_placement=api_pb2.SchedulerPlacement(regions=regions) if regions else None,
            network_access=api_pb2.NetworkAccess(
                network_access_type=api_pb2.NetworkAccess.NetworkAccessType.OPEN
            ),
        )
    except (TypeError, ValueError) as error:
        raise invalid(f"cannot be a sandbox of Modal: {error}") from error


def tags_of(job: Job) -> list[api_pb2.SandboxTag]:
    """Ours and the labels, whose names become as plain as ours: Modal documents no others."""
    labels = texts(job.configuration.get("labels"), "labels")
    tags = {_NOT_IN_A_TAG.sub("-", name): value for name, value in labels.items()}
    tags |= {RUN: job.run_id, ATTEMPT: str(job.attempt)}
    return [api_pb2.SandboxTag(tag_name=name, tag_value=value) for name, value in tags.items()]


def _resources(configuration: Mapping[str, Any]) -> api_pb2.Resources:
    cpu, memory = configuration.get("cpu"), configuration.get("memory")
    gpu_type, _, count = str(configuration.get("gpu") or "").partition(":")
    gpu = api_pb2.GPUConfig(gpu_type=gpu_type.upper(), count=int(count or 1)) if gpu_type else None
    return api_pb2.Resources(
        milli_cpu=round(float(cpu) * 1000) if cpu else 0,
        memory_mb=int(memory) if memory else 0,
        gpu_config=gpu,
    )


def _seconds(job: Job) -> int:
    timeout = job.timeout_seconds or job.configuration.get("timeout") or _SECONDS
    return max(1, min(int(timeout), _LONGEST_SECONDS))


def _workdir(configuration: Mapping[str, Any]) -> str | None:
    """None is that of the image."""
    workdir = configuration.get("workdir")
    if workdir and not str(workdir).startswith("/"):
        raise invalid(f"workdir is {workdir!r}: it must be an absolute path")
    return str(workdir) if workdir else None


def _command(configuration: Mapping[str, Any]) -> list[str]:
    if command := words(configuration.get("command")):
        return command
    raise invalid("the run has no command: a sandbox needs one")
