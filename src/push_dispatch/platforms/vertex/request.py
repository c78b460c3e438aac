"""Which custom job is made of a run's job configuration? Pure functions.

The configuration has the shape of Prefect's `vertex-ai` worker: a `job_spec` in the names of the
Python client, which the REST API has in camel case.
Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from push_dispatch.platforms import shared
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.google.request import labels_for, place_for

__all__ = ["ATTEMPT", "RUN", "Place", "Region", "body_for", "region_of"]

#: Labels whose it is: the run's uuid without dashes, and the attempt.
RUN = "push-dispatch-run"
ATTEMPT = "push-dispatch-attempt"

_WEEK = 604_800


@dataclass(frozen=True, slots=True)
class Region(shared.Place):
    """Where jobs are created."""

    FORM = "projects/{project}/locations/{location}"
    project: str
    location: str


@dataclass(frozen=True, slots=True)
class Place(Region):
    """One custom job; the handle is its name."""

    FORM = f"{Region.FORM}/customJobs/{{id}}"
    id: str

    @property
    def region(self) -> Region:
        return Region(self.project, self.location)


def region_of(job: Job, project: str | None) -> Region:
    """Return where the attempt is put; `project` where neither the template nor its credentials
    say. Raises Rejected (`template_invalid`)."""
    return Region(*place_for(job.configuration, project))


def labels_of(job: Job) -> dict[str, str]:
    """The labels by which the attempt is found again."""
    _, run, attempt = job.name.split("-")
    return {RUN: run, ATTEMPT: attempt}


def body_for(job: Job) -> dict[str, Any]:
    """Return the job to create, as JSON. Raises Rejected (`template_invalid`), or what `building`
    wraps."""
    configuration = job.configuration
    spec = _camel(configuration.get("job_spec") or {})
    for pool in shared.objects(spec, "workerPoolSpecs", "job_spec"):
        _fill(shared.inner(pool, "containerSpec", "job_spec.worker_pool_specs[]"), configuration)
        pool["replicaCount"] = str(pool.get("replicaCount") or 1)
        _count_accelerators(shared.inner(pool, "machineSpec", "job_spec.worker_pool_specs[]"))
    if account := spec.pop("serviceAccountName", None):
        spec["serviceAccount"] = account
    hours = spec.pop("maximumRunTimeHours", None)
    spec["scheduling"] = _scheduling(spec.get("scheduling") or {}, hours, job)
    name = str(configuration.get("name") or job.name)[:128]
    return {
        "displayName": name,
        "labels": labels_for(configuration) | labels_of(job),
        "jobSpec": spec,
    }


# -- parts of the job -------------------------------------------------------------------------


def _fill(container: dict[str, Any], configuration: Mapping[str, Any]) -> None:
    container["imageUri"] = container.get("imageUri") or configuration.get("image")
    if not container["imageUri"]:
        raise shared.invalid("no image is given: set the job variable `image`")
    for key in ("command", "args"):
        container[key] = shared.words(container.get(key), f"container_spec.{key}")
    merged = shared.merged_env(container.get("env"), configuration.get("env"), "container_spec.env")
    container["env"] = list(merged.values())


def _scheduling(given: Mapping[str, Any], hours: Any, job: Job) -> dict[str, Any]:
    """Vertex AI starts a job anew that failed for an internal error, unseen: never here."""
    seconds = job.timeout_seconds or (
        int(shared.number(hours, "job_spec.maximum_run_time_hours") * 3600) if hours else None
    )
    timeout = {"timeout": f"{min(seconds, _WEEK)}s"} if seconds else {}
    never = {"restartJobOnWorkerRestart": False, "disableRetries": True}
    return {**_camel(given.get("scheduling") or given), **timeout, **never}


def _count_accelerators(machine: dict[str, Any]) -> None:
    """The API refuses one of the two alone."""
    if machine.get("acceleratorType"):
        machine.setdefault("acceleratorCount", 1)
    else:
        machine.pop("acceleratorCount", None)


def _camel(value: Any) -> Any:
    """Names in camel case, without what is null."""
    if isinstance(value, Mapping):
        return {_name(key): _camel(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_camel(inner) for inner in value if inner is not None]
    return value


def _name(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)
