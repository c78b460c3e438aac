"""Which V2 job does the job body of a V1 template describe?

Prefect's `cloud-run` worker sends a Knative object to the first version of the API; here there is
one client for both, that of the second.
Sources: https://cloud.google.com/run/docs/reference/rest/v1/namespaces.jobs and
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from push_dispatch.platforms.shared import invalid

__all__ = ["is_v1", "v2_of"]

_RUN = "run.googleapis.com/"
#: Annotations that the V2 API has no room for, because it knows or needs them not.
_IDLE = {
    f"{_RUN}client-name",
    f"{_RUN}client-version",
    f"{_RUN}cpu-throttling",
    f"{_RUN}creator",
    f"{_RUN}ingress",
    f"{_RUN}lastModifier",
    f"{_RUN}operation-id",
}
_RESERVED = ("run.googleapis.com/", "cloud.googleapis.com/", "knative.dev/")
_KEPT_OF_CONTAINER = ("name", "image", "command", "args", "ports", "volumeMounts", "workingDir")


def is_v1(body: Mapping[str, Any]) -> bool:
    """Whether it is written for the first version of the API."""
    return "spec" in body or str(body.get("apiVersion", "")).endswith("/v1")


def v2_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """A new job body of the second version, as JSON. Raises Rejected (`template_invalid`) for what
    has no place there."""
    metadata = _object(body, "metadata")
    execution = _object(_object(body, "spec"), "template")
    spec = _object(execution, "spec")
    task = _object(spec, "template")
    inner = _object(task, "spec")
    annotations: dict[str, Any] = {}
    # The template of Prefect's own documentation has the execution's metadata beside its template.
    for holder in (body, _object(body, "spec"), execution, task):
        annotations |= _object(_object(holder, "metadata"), "annotations")
    template: dict[str, Any] = {
        "containers": [_container(container) for container in inner.get("containers") or []],
        "volumes": [_volume(volume) for volume in inner.get("volumes") or []],
        "timeout": inner.get("timeoutSeconds"),
        "serviceAccount": inner.get("serviceAccountName"),
        "nodeSelector": _node(inner.get("nodeSelector")),
    }
    job: dict[str, Any] = {
        "labels": dict(_object(metadata, "labels")),
        "template": {
            "labels": dict(_object(_object(execution, "metadata"), "labels")),
            "taskCount": spec.get("taskCount"),
            "parallelism": spec.get("parallelism"),
            "template": template,
        },
    }
    _annotate(job, template, annotations)
    return job


def _object(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = of.get(key) or {}
    if not isinstance(value, Mapping):
        raise invalid(f"job_body: {key} must be an object")
    return value


# -- what V1 says with annotations ------------------------------------------------------------


def _annotate(
    job: dict[str, Any], template: dict[str, Any], annotations: Mapping[str, Any]
) -> None:
    network: dict[str, Any] = {}
    for name, value in annotations.items():
        if value is None or value == "" or name in _IDLE:
            continue
        match name.removeprefix(_RUN):
            case "launch-stage":
                job["launchStage"] = str(value)
            case "vpc-access-connector":
                network["connector"] = str(value)
            case "vpc-access-egress":
                network["egress"] = str(value).upper().replace("-", "_")
            case "network-interfaces":
                network["networkInterfaces"] = _interfaces(value)
            case "execution-environment":
                template["executionEnvironment"] = f"EXECUTION_ENVIRONMENT_{str(value).upper()}"
            case "cloudsql-instances":
                instances = [part.strip() for part in str(value).split(",")]
                volume = {"name": "cloudsql", "cloudSqlInstance": {"instances": instances}}
                template["volumes"].append(volume)
                mount = {"name": "cloudsql", "mountPath": "/cloudsql"}
                for container in template["containers"][:1]:
                    container.setdefault("volumeMounts", []).append(mount)
            case _:
                _keep(job, name, value)
    if network:
        template["vpcAccess"] = network


def _interfaces(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise invalid(f"annotation {_RUN}network-interfaces is no JSON: {error}") from error


def _keep(job: dict[str, Any], name: str, value: Any) -> None:
    prefix = name.rpartition("/")[0] + "/"
    if any(prefix.endswith(reserved) for reserved in _RESERVED):
        raise invalid(
            f"annotation {name} has no counterpart in the second version of Cloud Run's API: "
            "remove it, or give the pool the type cloud-run-v2 and a template for it"
        )
    job.setdefault("annotations", {})[name] = str(value)


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
    source = _object(_object(entry, "valueFrom"), "secretKeyRef")
    if not source:
        return {"name": entry.get("name"), "value": entry.get("value") or ""}
    reference = {"secret": source.get("name"), "version": source.get("key") or "latest"}
    return {"name": entry.get("name"), "valueSource": {"secretKeyRef": reference}}


def _volume(volume: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": volume.get("name")}
    if secret := _object(volume, "secret"):
        items = _items(secret.get("items") or ())
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


def _items(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"version": item.get("key"), "path": item.get("path")} for item in items]


def _node(selector: Mapping[str, Any] | None) -> dict[str, Any] | None:
    accelerator = (selector or {}).get(f"{_RUN}accelerator")
    return {"accelerator": accelerator} if accelerator else None
