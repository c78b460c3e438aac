"""Which Cloud Run job is made of a run's job configuration? Pure functions.

The configuration has the shape of Prefect's `cloud-run-v2` worker (or of its `cloud-run` worker,
see `v1`): a `job_body` with one job, and beside it what is put into the job's first container.
Whatever the body says stays, but for what the promises of a platform need: our labels, no restarts,
and the token that starts the one execution.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from push_dispatch.platforms import shared
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.cloud_run.v1 import add_databases, is_v1, v2_of
from push_dispatch.platforms.google.request import labels_for, place_for

__all__ = ["ATTEMPT", "RUN", "Place", "body_for", "cleaned", "place_of"]

#: Annotations of a job and of its execution: whose it is. Labels could not hold a pool's name
#: with capital letters.
RUN = "push-dispatch/run"
ATTEMPT = "push-dispatch/attempt"

#: Suffix of the execution that is started with its job; both names together stay below 63
#: characters.
_TOKEN = "run"  # noqa: S105 - no secret
_REGION = "us-central1"
#: A task that takes longer than a week is refused.
_LONGEST_SECONDS = 604_800
#: Where the main container is, for messages.
_CONTAINER = "job_body.template.template.containers[]"


@dataclass(frozen=True, slots=True)
class Place(shared.Place):
    """A job and its one execution; the handle is the execution's name."""

    FORM = "projects/{project}/locations/{location}/jobs/{name}/executions/{execution_id}"
    project: str
    location: str
    name: str
    execution_id: str

    @property
    def parent(self) -> str:
        """What the job is created in."""
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def job(self) -> str:
        """The full name of the job."""
        return f"{self.parent}/jobs/{self.name}"

    @property
    def log_filter(self) -> str:
        """What Cloud Logging is asked for: neither the audit log nor what Cloud Run itself says."""
        logs = f"projects/{self.project}/logs/run.googleapis.com"
        return (
            f'resource.type="cloud_run_job" AND resource.labels.job_name="{self.name}"'
            f' AND resource.labels.location="{self.location}"'
            f' AND labels."run.googleapis.com/execution_name"="{self.execution_id}"'
            f' AND (logName="{logs}%2Fstdout" OR logName="{logs}%2Fstderr")'
        )


def place_of(job: Job, project: str | None) -> Place:
    """Where the attempt is put; `project` where neither the template nor its credentials say.

    Raises Rejected (`template_invalid`).
    """
    project, region = place_for(job.configuration, project, _REGION)
    return Place(project, region, job.name, f"{job.name}-{_TOKEN}")


def body_for(job: Job) -> dict[str, Any]:
    """The job to create, as JSON. Raises Rejected, or what `building` wraps."""
    body = cleaned(job.configuration)
    execution = shared.inner(body, "template", "job_body")
    task = shared.inner(execution, "template", "job_body.template")
    containers = shared.objects(task, "containers", "job_body.template.template")
    main = containers[shared.main_of(containers, job.configuration)]
    _fill(main, job)
    _surround(task, main, job)
    labels = labels_for(job.configuration)
    ours = {RUN: job.run_id, ATTEMPT: str(job.attempt)}
    for holder in (body, execution):
        holder["labels"] = labels | (holder.get("labels") or {})
        holder["annotations"] = (holder.get("annotations") or {}) | ours
    body["startExecutionToken"] = _TOKEN
    return body


def cleaned(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the job body, of the second version, without what is null.

    Raises Rejected (`template_invalid`).
    """
    body = configuration.get("job_body")
    if not isinstance(body, Mapping):
        raise shared.invalid("job_body is missing: it has the job that is created")
    made: dict[str, Any] = _without_nulls(v2_of(body) if is_v1(body) else copy.deepcopy(dict(body)))
    # What only the server may write, and a second execution that would make the job wait.
    for key in ("name", "runExecutionToken"):
        made.pop(key, None)
    return made


# -- parts of the job -------------------------------------------------------------------------


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_nulls(inner) for k, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def _fill(container: dict[str, Any], job: Job) -> None:
    """The container that runs the attempt."""
    configuration = job.configuration
    container["image"] = container.get("image") or configuration.get("image")
    if not container["image"]:
        raise shared.invalid("no image is given: set the job variable `image`")
    for key in ("command", "args"):
        container[key] = shared.words(
            container.get(key) or configuration.get(key), f"{_CONTAINER}.{key}"
        )
    container["env"] = _environment(container.get("env"), job)
    limits = shared.inner(
        shared.inner(container, "resources", _CONTAINER), "limits", f"{_CONTAINER}.resources"
    )
    limits |= {
        name: shared.text_of(limit) for name, limit in limits.items()
    }  # `cpu: 2` is meant as "2"
    if configuration.get("gpu_type"):
        limits.setdefault("nvidia.com/gpu", "1")


def _environment(own: Any, job: Job) -> list[dict[str, Any]]:
    """Of one name the run's value wins over the template's, and a reference to a secret of Secret
    Manager over both. Other secrets are values: Cloud Run has nothing that hides one."""
    references = _references(job)
    others = {name: secret for name, secret in job.secrets.items() if name not in references}
    values = shared.secret_values(replace(job, secrets=others))
    merged = shared.merged_env(own, job.configuration.get("env"), f"{_CONTAINER}.env")
    merged |= {name: {"name": name, "value": value} for name, value in values.items()}
    for name, reference in references.items():
        if not isinstance(reference, Mapping) or not reference.get("secret"):
            raise shared.invalid(
                f"the secret for {name} must be an object with `secret` and `version`"
            )
        merged[name] = {"name": name, "valueSource": {"secretKeyRef": dict(reference)}}
    return list(merged.values())


def _references(job: Job) -> dict[str, Any]:
    """What Cloud Run itself reads from Secret Manager, by variable."""
    references = {}
    for name, secret in job.secrets.items():
        if re.fullmatch(BUILT_IN["cloud-run"].own_secrets, secret.name):
            path, _, version = secret.name.partition("/versions/")
            references[name] = {"secret": path, "version": version or "latest"}
    references |= job.configuration.get("env_from_secrets") or {}
    for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        if reference := job.configuration.get(f"{name.lower()}_secret"):
            references[name] = reference
    return references


def _surround(task: dict[str, Any], container: dict[str, Any], job: Job) -> None:
    """What the task has besides its container."""
    # The default is 3: Cloud Run would run a failed process again, unseen.
    task["maxRetries"] = 0
    task["timeout"] = f"{_seconds(task, job)}s"
    connector = task.get("vpcAccess")
    if isinstance(connector, str):  # as in templates made for a push pool
        task["vpcAccess"] = {"connector": connector}
    if not task.get("vpcAccess"):
        task.pop("vpcAccess", None)
    if accelerator := job.configuration.get("gpu_type"):
        task.setdefault("nodeSelector", {"accelerator": str(accelerator)})
        task.setdefault("gpuZonalRedundancyDisabled", True)
    if instances := job.configuration.get("cloudsql_instances"):
        add_databases(task, container, list(instances))


def _seconds(task: Mapping[str, Any], job: Job) -> int:
    """The run's own timeout wins over the template's."""
    timeout = job.timeout_seconds or job.configuration.get("timeout") or task.get("timeout") or 600
    seconds = str(timeout).removesuffix("s")
    if not re.fullmatch(r"[0-9]+(\.0+)?", seconds) or not float(seconds):
        raise shared.invalid(f"timeout is {timeout!r}: it must be a number of seconds")
    return min(int(float(seconds)), _LONGEST_SECONDS)
