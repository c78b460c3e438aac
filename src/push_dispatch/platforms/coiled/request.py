"""Which batch job and which cluster are made of a run's job configuration? Pure functions.

The configuration has the variables of the `coiled` worker for Prefect. The API is undocumented:
what Coiled's own client sends was read off its source (1.135, `cli/batch/run.py`, `v2/core.py`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Job

__all__ = ["DASK_IMAGE", "MARK", "cluster_for", "command_of", "job_for", "sizes_of"]

#: What runs the job's container on the machine, as in Coiled's own client.
DASK_IMAGE = "ghcr.io/dask/dask"
#: In the command, which the list of jobs shows: a job is found by it when its cluster is gone.
MARK = "PUSH_DISPATCH_ATTEMPT"
#: In megabytes, the unit of the machine list.
_MEGABYTES = {"": 1e-6, "mb": 1.0, "mib": 1.048576, "gb": 1e3, "gib": 1073.741824, "tb": 1e6}
_FOREVER = "520 weeks"


def job_for(job: Job, workspace: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The batch job. Raises Rejected (`template_invalid`)."""
    env = job.configuration.get("env") or {}
    return {
        "user_command": command_of(job),
        "user_files": [],
        "task_array_ntasks": 1,
        # One task needs one machine: the one that would else only be the scheduler.
        "scheduler_task_array": [0],
        "env_vars": {name: str(value) for name, value in env.items() if value is not None},
        "secret_env_vars": dict(secrets),
        "wait_for_ready_cluster": False,
        "workdir": None,
        "pipe_to_files": False,
        "host_setup": None,
        "job_timeout_seconds": job.timeout_seconds,
        "run_in_container": True,
        "max_retries": 0,
        "workspace": workspace,
    }


def command_of(job: Job) -> str:
    """The command with the attempt's name in it."""
    given = job.configuration.get("command")
    try:
        words = shlex.split(given) if isinstance(given, str) else [str(w) for w in given or ()]
    except ValueError as error:
        raise _invalid(f"command {given!r} cannot be split: {error}") from error
    if not words:
        raise _invalid("the run has no command: Coiled needs one")
    return shlex.join(["env", f"{MARK}={job.name}", *words])


def cluster_for(
    job: Job, batch_job: int, software: str, machines: list[str] | None
) -> dict[str, Any]:
    """The cluster that runs it. Raises Rejected (`template_invalid`)."""
    configuration = job.configuration
    labels = configuration.get("labels") or {}
    more = dict(configuration.get("additional_coiled_options") or {})
    options = {"region_name": configuration.get("region")} if configuration.get("region") else {}
    body = {
        "name": job.name,
        "workers": 0,
        "batch_job_ids": [batch_job],
        "env_name": software,
        "extra_user_container": None if configuration.get("software") else _image(configuration),
        "extra_user_container_ignore_entrypoint": False,
        "scheduler_instance_types": machines,
        "scheduler_disk_size": more.pop("disk_size", None),
        "scheduler_options": {"idle_timeout": _FOREVER, "worker_ttl": _FOREVER},
        "use_aws_creds_endpoint": False,
        "tags": {
            **{str(key): str(value) for key, value in labels.items()},
            "coiled-cluster-type": "batch",
            "push-dispatch-run": job.run_id,
            "push-dispatch-attempt": str(job.attempt),
        },
        **more,
    }
    return body | ({"options": options | (more.get("options") or {})} if options else {})


def sizes_of(configuration: Mapping[str, Any]) -> dict[str, str] | None:
    """The question for machines with the wanted CPUs, memory and GPUs; None if the template names
    machines, or wants nothing particular. Memory may differ by a tenth, as in Coiled's client.

    Raises Rejected (`template_invalid`).
    """
    cpu, memory, gpu = (configuration.get(key) for key in ("cpu", "memory", "gpu"))
    if configuration.get("vm_types") or not (cpu or memory or gpu):
        return None
    question = {"arch": "arm64" if configuration.get("arm") else "x86_64"}
    if cpu:
        question["cores"] = str(cpu)
    if memory:
        wanted = _megabytes(str(memory))
        question["memory__gte"], question["memory__lte"] = (
            str(round(wanted * factor)) for factor in (0.89, 1.1)
        )
    if gpu:
        question["gpus"] = "1"
    return question


def _image(configuration: Mapping[str, Any]) -> str:
    image = configuration.get("image")
    if not image:
        raise _invalid("no image and no software environment: set the job variable `image`")
    return str(image)


def _megabytes(text: str) -> float:
    match = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", text)
    unit = match[2].lower() if match else "?"
    if match is None or unit not in _MEGABYTES:
        raise _invalid(f"memory is {text!r}: it must be a size such as 16GB")
    return float(match[1]) * _MEGABYTES[unit]


def _invalid(message: str) -> Rejected:
    return Rejected(message, reason="template_invalid")
