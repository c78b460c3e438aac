"""Which resources does the SAM template make, for given parameters, and with which properties?

What only AWS knows reads as it does of Terraform: `<Table>` is what Ref gives, `<Table.Arn>` an
attribute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Template", "sam_template"]

#: A property with this value is not there.
_NOTHING = object()

_PSEUDO = {"AWS::NoValue": _NOTHING, "AWS::StackName": "push-dispatch"}


@cache
def sam_template() -> dict[str, Any]:
    """template.yaml, without the places that the decoder notes at each value, which make copies
    slow. Reading it takes a second."""
    from cfnlint.decode import cfn_yaml

    file = Path(__file__).parents[3] / "template.yaml"
    template: dict[str, Any] = json.loads(json.dumps(cfn_yaml.load(str(file))))
    return template


class Template:
    """A template with parameters. Intrinsic functions are evaluated; SAM is not."""

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self._template = template
        self._parameters = {
            name: _listed(declared, parameters.get(name, declared.get("Default")))
            for name, declared in template["Parameters"].items()
        }
        if unknown := set(parameters) - set(self._parameters):
            raise ValueError(f"the template has no parameter {unknown}")

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Logical id, type and properties of each resource whose condition holds."""
        for name, resource in self._template["Resources"].items():
            if "Condition" not in resource or self._holds(resource["Condition"]):
                properties = self.value(resource.get("Properties", {}))
                if resource["Type"] == "AWS::Serverless::Function":
                    properties = self._with_globals(properties)
                yield name, resource["Type"], properties

    def outputs(self) -> dict[str, Any]:
        """What the stack tells, by name."""
        shown = self._template["Outputs"].items()
        return {
            name: self.value(output["Value"])
            for name, output in shown
            if "Condition" not in output or self._holds(output["Condition"])
        }

    def value(self, node: Any) -> Any:
        """What a node of the template is."""
        if isinstance(node, Mapping):
            if len(node) == 1:
                [(name, argument)] = node.items()
                if function := getattr(self, f"_{name.replace('::', '_').lower()}", None):
                    return function(argument)
            return _present({key: self.value(inner) for key, inner in node.items()})
        if isinstance(node, list):
            return [held for inner in node if (held := self.value(inner)) is not _NOTHING]
        return node

    def _with_globals(self, properties: dict[str, Any]) -> dict[str, Any]:
        shared = self.value(self._template["Globals"]["Function"])
        own = properties.get("Environment", {}).get("Variables", {})
        environment = {"Variables": {**shared["Environment"]["Variables"], **own}}
        return {**shared, **properties, "Environment": environment}

    def _holds(self, condition: str) -> bool:
        held: bool = self.value(self._template["Conditions"][condition])
        return held

    def _ref(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        return _PSEUDO.get(name, f"<{name}>")

    def _fn_getatt(self, path: Any) -> str:
        return f"<{path if isinstance(path, str) else '.'.join(path)}>"

    def _fn_sub(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        named = {name: self.value(node) for name, node in own.items()}

        def filled(match: re.Match[str]) -> str:
            name = match[1]
            return str(named[name] if name in named else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", filled, text)

    def _fn_if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.value(yes if self._holds(condition) else no)

    def _fn_join(self, argument: Any) -> str:
        separator, members = argument
        joined: str = separator.join(self.value(members))
        return joined

    def _fn_split(self, argument: Any) -> list[str]:
        separator, text = argument
        parts: list[str] = self.value(text).split(separator)
        return parts

    def _fn_equals(self, argument: Any) -> bool:
        left, right = (self.value(side) for side in argument)
        return bool(left == right)

    def _fn_not(self, argument: Any) -> bool:
        return not self.value(argument[0])

    def _fn_and(self, argument: Any) -> bool:
        return all(self.value(side) for side in argument)

    def _fn_or(self, argument: Any) -> bool:
        return any(self.value(side) for side in argument)

    def _condition(self, name: Any) -> Any:
        """`{Condition: NAME}`; in a statement of a policy it is an attribute like others."""
        return self._holds(name) if isinstance(name, str) else {"Condition": self.value(name)}


def _listed(declared: Mapping[str, Any], given: Any) -> Any:
    if declared["Type"] == "CommaDelimitedList" and isinstance(given, str):
        return given.split(",")
    return given


def _present(held: dict[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in held.items() if inner is not _NOTHING}
