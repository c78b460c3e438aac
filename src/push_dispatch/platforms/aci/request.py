"""Which container group is made of a run's job configuration? Pure functions.

The configuration has the shape of Prefect's azure-container-instance worker: an `arm_template`
with one container group, and beside it what is put into the group's first container. Whatever the
template says stays, but for what the promises of a platform need: the name, our tags, and a restart
policy that never starts the process again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from push_dispatch.platforms import shared
from push_dispatch.platforms.aci.arm import resource_in
from push_dispatch.platforms.base import Job

__all__ = [
    "ATTEMPT",
    "RUN",
    "START_SECONDS",
    "Place",
    "group_for",
    "main_container",
    "place_of",
]

#: Tags of a container group: whose it is, which container runs the attempt, and how long it may
#: fail to start.
RUN = "push-dispatch-run"
ATTEMPT = "push-dispatch-attempt"
START_SECONDS = "push-dispatch-start-seconds"
MAIN = "push-dispatch-container"

_CONTAINER = "job"
#: Where the group is, for messages.
_GROUP = "arm_template.resources[0]"
#: As Prefect's task_start_timeout_seconds.
_START_SECONDS = 240
#: Set as secure values even when they come as plain variables: whoever may read the container
#: group would see them otherwise.
_SECURE = {"PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"}
#: A resource has at most 50 tags, and two thirds of them are enough for labels.
_LABELS = 40


@dataclass(frozen=True, slots=True)
class Place(shared.Place):
    """A container group; the handle is its resource id."""

    FORM = (
        "/subscriptions/{subscription}/resourceGroups/{resource_group}"
        "/providers/Microsoft.ContainerInstance/containerGroups/{name}"
    )
    subscription: str
    resource_group: str
    name: str


def place_of(job: Job) -> Place:
    """Where the attempt is put. Raises Rejected (`template_invalid`)."""
    named = {}
    for key in ("subscription_id", "resource_group_name"):
        named[key] = str(job.configuration.get(key) or "").strip()
        if not re.fullmatch(r"[^/?#\s]{1,90}", named[key]):
            raise shared.invalid(f"{key} is {named[key]!r}: set the job variable of this name")
    return Place(named["subscription_id"], named["resource_group_name"], job.name)


def group_for(job: Job, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The container group to put, as JSON; without `location` where the template leaves that to
    the resource group. `secrets` are the values of the job's secrets by variable.

    Raises Rejected (`template_invalid`).
    """
    configuration = job.configuration
    resource = _resource(configuration, job.name)
    properties = shared.inner(resource, "properties", _GROUP)
    containers = shared.objects(properties, "containers", f"{_GROUP}.properties")
    places = [
        shared.inner(container, "properties", f"{_GROUP}.containers[]") for container in containers
    ]
    main = shared.main_of(places, configuration)
    container = containers[main]
    container["name"] = container.get("name") or _CONTAINER
    _fill(places[main], configuration, secrets)
    _surround(resource, properties, configuration)
    properties.setdefault("osType", "Linux")
    # The default is Always. Even with Never a container that fails may be started again, which
    # the verdict takes care of.
    properties["restartPolicy"] = "Never"
    resource["tags"] = _tags(resource.get("tags"), configuration.get("labels")) | {
        RUN: job.run_id,
        ATTEMPT: str(job.attempt),
        MAIN: container["name"],
        START_SECONDS: str(configuration.get("task_start_timeout_seconds") or _START_SECONDS),
    }
    kept = ("location", "tags", "identity", "properties", "zones")
    return {key: resource[key] for key in kept if resource.get(key)}


def main_container(group: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container of a group that runs its attempt; the first where nothing says which."""
    containers = (group.get("properties") or {}).get("containers") or [{}]
    name = (group.get("tags") or {}).get(MAIN)
    found: Mapping[str, Any] = next((c for c in containers if c.get("name") == name), containers[0])
    return found


# -- parts of the group -----------------------------------------------------------------------


def _resource(configuration: Mapping[str, Any], name: str) -> dict[str, Any]:
    template = configuration.get("arm_template")
    if not isinstance(template, Mapping):
        raise shared.invalid("arm_template is missing: it has the container group that is created")
    return resource_in(template, {"container_group_name": name, "container_name": _CONTAINER})


def _fill(
    container: dict[str, Any], configuration: Mapping[str, Any], secrets: Mapping[str, str]
) -> None:
    """The container's own properties."""
    if image := configuration.get("image"):
        container["image"] = image
    if not container.get("image"):
        raise shared.invalid("no image is given: set the job variable `image`")
    if command := _command(configuration, container.pop("command", None)):
        container["command"] = command
    own, env = container.get("environmentVariables"), configuration.get("env")
    container["environmentVariables"] = _environment(own, env, secrets)
    place = f"{_GROUP}.containers[].resources"
    requests = shared.inner(shared.inner(container, "resources", place), "requests", place)
    for key, variable in (("cpu", "cpu"), ("memoryInGB", "memory")):
        if configuration.get(variable) is not None:
            requests[key] = configuration[variable]
        # ACI has no default for either.
        requests[key] = shared.number(requests.get(key) or 1, f"{place}.requests.{key}")
    if configuration.get("gpu_count"):
        gpu = {"count": configuration["gpu_count"], "sku": configuration.get("gpu_sku")}
        requests["gpu"] = {key: value for key, value in gpu.items() if value}


def _command(configuration: Mapping[str, Any], written: Any) -> list[str]:
    """The entrypoint of the template before the command: a command in ACI replaces the image's
    own entrypoint. Empty if the image is to say."""
    command = shared.words(configuration.get("command") or written)
    return [*shared.words(configuration.get("entrypoint"), "entrypoint"), *command]


def _environment(own: Any, env: Any, secrets: Mapping[str, str]) -> list[dict[str, Any]]:
    """Of one name the run's value wins over the template's, and a secret over both."""
    merged = shared.merged_env(own, env, f"{_GROUP}.containers[].environmentVariables")
    for name in _SECURE & set(env or {}) & set(merged):
        merged[name] = {"name": name, "secureValue": merged[name]["value"]}
    merged |= {name: {"name": name, "secureValue": value} for name, value in secrets.items()}
    return list(merged.values())


def _surround(
    resource: dict[str, Any], properties: dict[str, Any], configuration: Mapping[str, Any]
) -> None:
    """What the variables say about identity, registry and network."""
    if identities := configuration.get("identities"):
        assigned: dict[str, Any] = {identity: {} for identity in identities}
        resource["identity"] = {"type": "UserAssigned", "userAssignedIdentities": assigned}
    if registry := configuration.get("image_registry"):
        properties["imageRegistryCredentials"] = [_registry(registry)]
    if subnets := configuration.get("subnet_ids"):
        properties["subnetIds"] = [{"id": subnet} for subnet in subnets]
    if servers := configuration.get("dns_servers"):
        properties["dnsConfig"] = {"nameServers": list(servers)}


def _registry(registry: Mapping[str, Any]) -> dict[str, Any]:
    server = registry.get("registry_url")
    keys = ("identity",) if registry.get("identity") else ("username", "password")
    if not server or not all(registry.get(key) for key in keys):
        raise shared.invalid(
            "image_registry needs registry_url and either identity or username and password"
        )
    return {"server": server, **{key: registry[key] for key in keys}}


def _tags(own: Mapping[str, Any] | None, labels: Mapping[str, Any] | None) -> dict[str, str]:
    """Source: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources."""
    both = shared.texts(own, "tags") | shared.texts(labels, "labels")
    tags = {re.sub(r"[<>%&\\?/]", "-", key)[:512]: value[:256] for key, value in both.items()}
    return dict(list(tags.items())[:_LABELS])
