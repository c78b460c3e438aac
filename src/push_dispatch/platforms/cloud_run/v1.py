"""Which V2 job does the job body of a V1 template describe?

Prefect's `cloud-run` worker sends a Knative object to the first version of the API; here there is
one client for both, that of the second.
Sources: https://cloud.google.com/run/docs/reference/rest/v1/namespaces.jobs and
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from push_dispatch.platforms.shared import invalid

__all__ = ["add_databases", "is_v1", "v2_of"]

_RUN = "run.googleapis.com/"
#: Annotations that the V2 API has no room for, because it knows or needs them not.
_IDLE = r"client-(name|version)|cpu-throttling|creator|ingress|lastModifier|operation-id"
_RESERVED = ("run.googleapis.com", "cloud.googleapis.com", "knative.dev")
_KEPT_OF_CONTAINER = ("name", "image", "command", "args", "ports", "volumeMounts", "workingDir")


def _constant(value: Any) -> str:
    return str(value).upper().replace("-", "_")


def _interfaces(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise invalid(f"annotation {_RUN}network-interfaces is no JSON: {error}") from error


#: Where in a V2 job an annotation of Cloud Run belongs, and how it is written there.
_FIELDS: Mapping[str, tuple[Sequence[str], Callable[[Any], Any]]] = {
    "launch-stage": (("launchStage",), str),
    "vpc-access-connector": (("template", "template", "vpcAccess", "connector"), str),
    "vpc-access-egress": (("template", "template", "vpcAccess", "egress"), _constant),
    "network-interfaces": (("template", "template", "vpcAccess", "networkInterfaces"), _interfaces),
    "execution-environment": (
        ("template", "template", "executionEnvironment"),
        lambda value: f"EXECUTION_ENVIRONMENT_{_constant(value)}",
    ),
}


def is_v1(body: Mapping[str, Any]) -> bool:
    """Whether it is written for the first version of the API."""
    return "spec" in body or str(body.get("apiVersion", "")).endswith("/v1")


def v2_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """A new job body of the second version, as JSON. Raises Rejected (`template_invalid`) for what
    has no place there."""
    execution = _object(body, "spec", "template")
    spec, task = _object(execution, "spec"), _object(execution, "spec", "template", "spec")
    job: dict[str, Any] = {
        "labels": dict(_object(body, "metadata", "labels")),
        "template": {
            "labels": dict(_object(execution, "metadata", "labels")),
            "taskCount": spec.get("taskCount"),
            "parallelism": spec.get("parallelism"),
            "template": {
                "containers": [_container(container) for container in task.get("containers") or []],
                "volumes": [_volume(volume) for volume in task.get("volumes") or []],
                "timeout": task.get("timeoutSeconds"),
                "serviceAccount": task.get("serviceAccountName"),
                "nodeSelector": _node(task.get("nodeSelector")),
            },
        },
    }
    annotations: dict[str, Any] = {}
    # The template of Prefect's own documentation has the execution's metadata beside its template.
    for holder in (body, _object(body, "spec"), execution, _object(spec, "template")):
        annotations |= _object(holder, "metadata", "annotations")
    for name, value in annotations.items():
        if value not in (None, ""):
            _annotate(job, name, value)
    return job


def _object(of: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the object under one key of another; empty if there is none."""
    for key in keys:
        of = of.get(key) or {}
        if not isinstance(of, Mapping):
            raise invalid(f"job_body: {key} must be an object")
    return of


def _annotate(job: dict[str, Any], name: str, value: Any) -> None:
    """Put into its place what V1 says with an annotation."""
    own = name.removeprefix(_RUN) if name.startswith(_RUN) else ""
    if own in _FIELDS:
        (*holders, field), written = _FIELDS[own]
        for key in holders:
            job = job.setdefault(key, {})
        job[field] = written(value)
    elif own == "cloudsql-instances":
        instances = [part.strip() for part in str(value).split(",")]
        task = job["template"]["template"]
        add_databases(task, task["containers"][0] if task["containers"] else {}, instances)
    elif not re.fullmatch(_IDLE, own):
        if name.rpartition("/")[0].endswith(_RESERVED):
            raise invalid(
                f"annotation {name} has no counterpart in the second version of Cloud Run's API: "
                "remove it, or give the pool the type cloud-run-v2 and a template for it"
            )
        job.setdefault("annotations", {})[name] = str(value)


def add_databases(task: dict[str, Any], container: dict[str, Any], instances: list[str]) -> None:
    """Give a container the sockets of Cloud SQL's instances."""
    volume = {"name": "cloudsql", "cloudSqlInstance": {"instances": instances}}
    task["volumes"] = [*task.get("volumes", []), volume]
    mount = {"name": "cloudsql", "mountPath": "/cloudsql"}
    container["volumeMounts"] = [*container.get("volumeMounts", []), mount]


# -- containers and volumes -------------------------------------------------------------------


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        key: container[key] for key in _KEPT_OF_CONTAINER if container.get(key) is not None
    }
    # What is requested is what is limited: the second version has limits only.
    resources = _object(container, "resources")
    sizes = {**_object(resources, "requests"), **_object(resources, "limits")}
    made["resources"] = {"limits": sizes}
    made["env"] = [_variable(entry) for entry in container.get("env") or []]
    if probe := container.get("startupProbe"):
        made["startupProbe"] = probe
    return made


def _variable(entry: Mapping[str, Any]) -> dict[str, Any]:
    source = _object(entry, "valueFrom", "secretKeyRef")
    if not source:
        return {"name": entry.get("name"), "value": entry.get("value") or ""}
    reference = {"secret": source.get("name"), "version": source.get("key") or "latest"}
    return {"name": entry.get("name"), "valueSource": {"secretKeyRef": reference}}


def _volume(volume: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": volume.get("name")}
    if secret := _object(volume, "secret"):
        items = [
            {"version": i.get("key"), "path": i.get("path")} for i in secret.get("items") or ()
        ]
        made["secret"] = {"secret": secret.get("secretName"), "items": items}
    elif "emptyDir" in volume:
        directory = _object(volume, "emptyDir")
        made["emptyDir"] = {"medium": "MEMORY", "sizeLimit": directory.get("sizeLimit")}
    else:
        raise invalid(
            f"volume {volume.get('name')!r}: only secret and emptyDir are taken over from a V1 "
            "template; give the pool the type cloud-run-v2 for others"
        )
    return made


def _node(selector: Mapping[str, Any] | None) -> dict[str, Any] | None:
    accelerator = (selector or {}).get(f"{_RUN}accelerator")
    return {"accelerator": accelerator} if accelerator else None
