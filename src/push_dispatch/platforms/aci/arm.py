"""Which container group does an ARM template describe?

Prefect's worker sends the template as an ARM *deployment*. Here the resource in it is put directly:
one request instead of several, no deployment history of which a resource group holds 800, and fewer
permissions. So the few expressions that such templates have are evaluated here.
Source: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from push_dispatch.platforms.shared import invalid

__all__ = ["resource_in"]

_TYPE = "microsoft.containerinstance/containergroups"
_PARAMETER = re.compile(r"\[\s*parameters\(\s*'([^']+)'\s*\)\s*\]")
_LOCATION = re.compile(r"\[\s*resourceGroup\(\)\.location\s*\]", re.IGNORECASE)


def resource_in(template: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A new resource, with the parameters of the template replaced by the `given` ones, else by
    their defaults. The location of the resource group is None: only Azure knows it.

    Raises Rejected (`template_invalid`).
    """
    resources = template.get("resources") or []
    if not isinstance(resources, list) or not all(isinstance(one, Mapping) for one in resources):
        raise invalid("arm_template: resources is not a list of objects")
    if len(resources) != 1 or str(resources[0].get("type", "")).lower() != _TYPE:
        raise invalid(
            "arm_template: it must have one resource, a Microsoft.ContainerInstance/containerGroups"
        )
    declared = template.get("parameters") or {}
    resource: dict[str, Any] = _resolved(resources[0], declared, given)
    return resource


def _resolved(value: Any, declared: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if _is_command(key, inner) else _resolved(inner, declared, given)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_resolved(inner, declared, given) for inner in value]
    if not isinstance(value, str) or not (value.startswith("[") and value.endswith("]")):
        return value
    if value.startswith("[["):
        return value[1:]  # an escaped bracket
    if _LOCATION.fullmatch(value):
        return None
    parameter = _PARAMETER.fullmatch(value)
    if parameter is None:
        # Not the whole of it: a secret may have been filled in.
        function = re.match(r"\[\s*\w*", value)
        start = function[0] if function else "["
        raise invalid(
            f"arm_template: `{start}…` cannot be evaluated here: write its value, or a job variable"
        )
    name = parameter[1]
    if name in given:
        return given[name]
    if "defaultValue" not in declared.get(name, {}):
        raise invalid(f"arm_template: parameter {name!r} has no defaultValue")
    # Without this name, so that a parameter that refers to itself is an error and not a loop.
    others = {key: entry for key, entry in declared.items() if key != name}
    return _resolved(declared[name]["defaultValue"], others, given)


def _is_command(key: str, value: Any) -> bool:
    """A job variable's words, which may look like expressions: `[ -f x ]` is a test in a shell."""
    is_parameter = isinstance(value, str) and _PARAMETER.fullmatch(value)
    return key == "command" and isinstance(value, str | list) and not is_parameter
