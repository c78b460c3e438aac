"""Which batch job and which cluster are made of a run's job configuration? Pure functions.

The configuration has the variables of the `coiled` worker for Prefect, with the meaning that they
have there: `env` is secret, and `additional_coiled_options` are arguments of `coiled.batch.run`.
The API is undocumented: what Coiled's own client sends was read off its source (1.135,
`cli/batch/run.py`, `v2/cluster.py`, `v2/core.py`).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from typing import Any

from push_dispatch.platforms.base import Job
from push_dispatch.platforms.coiled.machines import size_of
from push_dispatch.platforms.shared import invalid, texts, words

__all__ = ["DASK_IMAGE", "MARK", "cluster_for", "command_of", "job_for", "software_for"]

#: What runs the job's container on the machine, as in Coiled's own client.
DASK_IMAGE = "ghcr.io/dask/dask"
#: In the command, which the list of jobs shows: a job is found by it when its cluster is gone.
MARK = "PUSH_DISPATCH_ATTEMPT"
_FOREVER = "520 weeks"
_SPOT = {
    "on-demand": {"spot": False},
    "spot": {"spot": True, "spot_on_demand_fallback": False},
    "spot_with_fallback": {"spot": True, "spot_on_demand_fallback": True},
}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
#: Arguments of `coiled.batch.run` that have their effect; the last two are fields of the request.
_OPTIONS = (
    "allow_cross_zone", "disk_size", "env", "host_setup_script_content",
    "ignore_container_entrypoint", "job_timeout", "run_on_host", "secret_env", "spot_policy", "tag",
    "wait_for_ready_cluster", "options", "environ",
)  # fmt: skip
#: What the client adds for a GPU on Google Cloud, whose machines have none of their own.
_GCP_GPU = {"scheduler_accelerator_type": "nvidia-tesla-t4", "scheduler_accelerator_count": 1}


def job_for(job: Job, workspace: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return the batch job. Raises Rejected (`template_invalid`)."""
    more = _options(job)
    secret = texts(more.get("secret_env"), "additional_coiled_options.secret_env")
    return {
        "user_command": command_of(job),
        "user_files": [],
        "task_array_ntasks": 1,
        # One task needs one machine: the one that would else only be the scheduler.
        "scheduler_task_array": [0],
        "env_vars": texts(more.get("env"), "additional_coiled_options.env"),
        # Whoever may see the job does not see these, as with Coiled's worker for Prefect.
        "secret_env_vars": secret | texts(job.configuration.get("env")) | dict(secrets),
        "wait_for_ready_cluster": bool(more.get("wait_for_ready_cluster")),
        "workdir": None,
        "pipe_to_files": False,
        "host_setup": more.get("host_setup_script_content"),
        "job_timeout_seconds": job.timeout_seconds or _seconds(more.get("job_timeout")),
        "run_in_container": not more.get("run_on_host"),
        "max_retries": 0,
        "workspace": workspace,
    }


def command_of(job: Job) -> str:
    """Return the command with the attempt's name in it."""
    command = words(job.configuration.get("command"))
    if not command:
        raise invalid("the run has no command: Coiled needs one")
    return shlex.join(["env", f"{MARK}={job.name}", *command])


def software_for(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the small software environment of the machine itself, which runs the container."""
    arm = bool(configuration.get("arm"))
    return {
        "name": "push-dispatch-dask" + "-aarch64" * arm,
        "container": DASK_IMAGE,
        "use_entrypoint": True,
        "architecture": "aarch64" if arm else "x86_64",
    }


def cluster_for(
    job: Job, batch_job: int, software: str, machines: list[str] | None, cloud: str = "aws"
) -> dict[str, Any]:
    """Return the cluster that runs it. Raises Rejected (`template_invalid`)."""
    configuration, more = job.configuration, _options(job)
    return {
        "name": job.name,
        "workers": 0,
        "batch_job_ids": [batch_job],
        "env_name": software,
        "extra_user_container": None if configuration.get("software") else _image(configuration),
        "extra_user_container_ignore_entrypoint": bool(more.get("ignore_container_entrypoint")),
        "scheduler_instance_types": machines,
        "scheduler_disk_size": _gib(more.get("disk_size")),
        "scheduler_options": {"idle_timeout": _FOREVER, "worker_ttl": _FOREVER},
        "use_aws_creds_endpoint": False,
        **({"environ": more["environ"]} if "environ" in more else {}),
        "tags": _tags(job, more),
        "options": _backend_options(configuration, more, cloud),
    }


# -- parts of the request -------------------------------------------------------------------------


def _options(job: Job) -> Mapping[str, Any]:
    """Options of which one has no effect here are refused: it is better to hear that than to pay
    for on-demand machines. Raises Rejected (`template_invalid`)."""
    more = job.configuration.get("additional_coiled_options") or {}
    if not isinstance(more, Mapping):
        raise invalid("additional_coiled_options is not an object")
    for name, value in more.items():
        if name not in _OPTIONS and value is not None:
            known = ", ".join(_OPTIONS)
            raise invalid(f"additional_coiled_options.{name} has no effect here: use {known}")
    return more


def _backend_options(
    configuration: Mapping[str, Any], more: Mapping[str, Any], cloud: str
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if configuration.get("region"):
        options["region_name"] = configuration["region"]
    if configuration.get("gpu") and cloud == "gcp":
        options |= _GCP_GPU
    if more.get("allow_cross_zone") is not False:
        options |= {"multizone": True, "multizone_allow_cross_zone": True}
    if policy := more.get("spot_policy"):
        if policy not in _SPOT:
            known = ", ".join(_SPOT)
            raise invalid(f"additional_coiled_options.spot_policy is {policy!r}: use {known}")
        options |= _SPOT[policy]
    return options | dict(more.get("options") or {})


def _tags(job: Job, more: Mapping[str, Any]) -> dict[str, str]:
    """Without empty ones, which the client drops too."""
    tags = texts(more.get("tag"), "additional_coiled_options.tag")
    labels = texts(job.configuration.get("labels"), "labels")
    tags |= {name.replace("prefect.io/", ""): value for name, value in labels.items()}
    return {name: value for name, value in tags.items() if value} | {
        "coiled-cluster-type": "batch",
        "push-dispatch-run": job.run_id,
        "push-dispatch-attempt": str(job.attempt),
    }


def _image(configuration: Mapping[str, Any]) -> str:
    image = configuration.get("image")
    if not image:
        raise invalid("no image and no software environment: set the job variable `image`")
    return str(image)


def _seconds(duration: Any) -> int | None:
    if duration is None:
        return None
    match = re.fullmatch(r"([0-9]+)\s*([smhd]?)\w*", str(duration).strip())
    if match is None:
        raise invalid(f"additional_coiled_options.job_timeout is {duration!r}: use such as 2h")
    return int(match[1]) * _SECONDS[match[2]]


def _gib(size: Any) -> int | None:
    """Gibibytes, rounded up; a number without a unit is one of them."""
    if size is None:
        return None
    text = f"{size}GiB" if str(size).isdigit() else size
    return math.ceil(size_of("additional_coiled_options.disk_size", text) / 2**30)
