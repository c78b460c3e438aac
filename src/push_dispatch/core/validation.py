"""Do a base job template and the job variables of a run fit together?

Everything that is wrong is listed at once, each with its path and what is allowed. What Prefect
passes over in silence is reported here: a variable that the template does not know (with the
nearest name), a variable that the pool enforces, a default that breaks its own schema.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from push_dispatch.core.bounds import check_document
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.core.schemas import misfits, schema_problems
from push_dispatch.core.secret_references import SECRETS, secret_references, stray_references
from push_dispatch.core.shape import dangling, misshapen
from push_dispatch.core.template import Layer, merge_variables, placeholders, render

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["Violation", "check", "check_template", "enforced", "template_violations", "violations"]

#: A variable's schema says with this key that runs may not override it: `true`, or the list of
#: the values that they may choose from.
ENFORCED = "x-enforced"
#: Unknown variables that are listed one by one.
_SHOWN = 20
_PREFECTS = ("prefect.blocks.", "prefect.variables.")


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: where, and what is allowed instead."""

    path: str
    problem: str
    reason: str = Reason.INVALID_VARIABLES

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


def check(
    template: Mapping[str, Any],
    layers: Sequence[Layer],
    needs_command: bool = False,  # noqa: FBT001, FBT002 - by position: see `submit.Check`
    *,
    partial: bool = False,
) -> None:
    """Raise Invalid, listing all violations, if the job variables do not fit the template.

    `partial` variables are those of a deployment: a run may add others.

    The reason is `enforced_variable` if nothing else is wrong, `invalid_variables` otherwise.
    """
    found = violations(template, layers, needs_command=needs_command, partial=partial)
    if found:
        reasons = {violation.reason for violation in found}
        reason = reasons.pop() if len(reasons) == 1 else Reason.INVALID_VARIABLES
        raise Invalid(_listed("the job variables do not fit the template", found), reason=reason)


def check_template(template: Mapping[str, Any], where: str = "") -> None:
    """Raise Invalid (`invalid_template`), listing all violations, if no pool can have it."""
    try:
        check_document(template)
    except ValueError as error:
        message = f"{where}the base job template is not valid: {error}"
        raise Invalid(message, reason=Reason.INVALID_TEMPLATE) from error
    if found := template_violations(template):
        message = _listed(f"{where}the base job template is not valid", found)
        raise Invalid(message, reason=Reason.INVALID_TEMPLATE)


def violations(
    template: Mapping[str, Any],
    layers: Sequence[Layer],
    *,
    needs_command: bool = False,
    partial: bool = False,
) -> list[Violation]:
    """What is wrong with the job variables, weakest layer first; and whether there is no command
    although the platform needs one."""
    schema = _schema(template)
    try:
        for layer in layers:
            check_document(layer.variables)
        merged = merge_variables(template, layers)
    except (TypeError, ValueError) as error:
        return [Violation("", str(error))]
    overrides = {layer.source: merge_variables({}, [layer]) for layer in layers}
    found = [
        *_unknown(template, overrides),
        *_overridden(schema, overrides),
        *_blocks(overrides, merged),
        *_strays(template, layers),
        *_misfits(schema, {k: v for k, v in merged.items() if not _is_block(v)}),
        *_command(template, merged, needed=needs_command),
    ]
    # A value of the wrong type has been named already, by its variable.
    return found or list(_misshapen(template, layers, complete=not partial))


def template_violations(template: Mapping[str, Any]) -> list[Violation]:
    """What is wrong with a base job template, whatever its runs may ask for. An empty one is
    valid, as in Prefect: for platforms of third parties that need none."""
    if not template:
        return []
    found = list(_shape(template))
    if found:
        return found
    schema = _schema(template)
    defaults = merge_variables(template, [])
    wrong = _misfits({key: value for key, value in schema.items() if key != "required"}, defaults)
    return [
        *(Violation(f"variables.properties.{v.path}.default", v.problem) for v in wrong),
        *_dangling(template, schema),
        *(Violation(*found) for found in dangling(schema)),
        *(Violation(*found) for found in misshapen(template["job_configuration"], complete=True)),
    ]


def enforced(template: Mapping[str, Any]) -> dict[str, bool | list[Any]]:
    """Which variables the pool enforces, by their paths: entirely, or but for these values."""
    return dict(_enforced(_schema(template), ""))


# -- the template -----------------------------------------------------------------------------


def _schema(template: Mapping[str, Any]) -> Mapping[str, Any]:
    found = template.get("variables")
    return found if isinstance(found, Mapping) else {}


def _shape(template: Mapping[str, Any]) -> Iterator[Violation]:
    for key in ("job_configuration", "variables"):
        if not isinstance(template.get(key, {} if key == "variables" else None), Mapping):
            yield Violation(key, "is missing, or is not an object")
    for key in template:
        if key not in ("job_configuration", "variables"):
            yield Violation(key, "is not known: job_configuration and variables are")
    schema = _schema(template)
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        yield Violation("variables.properties", "is not an object")
        return
    yield from _schema_errors(schema)
    known = dict(_enforced(schema, ""))
    for path, locked in known.items():
        if not isinstance(locked, (bool, list)):
            yield Violation(f"variables.{path}.{ENFORCED}", "is neither true nor a list of values")
    in_place = {_property_path(path) for path in known}
    for path in _places(schema, ENFORCED, "variables"):
        if path not in in_place:
            text = f"enforces nothing here: variables.properties.NAME.{ENFORCED} is true or a list"
            yield Violation(f"{path}.{ENFORCED}", text)


def _property_path(path: str) -> str:
    return "".join(f".properties.{name}" for name in path.split(".")).join(("variables", ""))


def _places(part: Any, key: str, path: str) -> Iterator[str]:
    """Where in a schema a key is, but for what is data."""
    if isinstance(part, Mapping):
        if part.get(key):
            yield path
        for name, inner in part.items():
            if name not in ("default", "const", "enum", "examples", key):
                yield from _places(inner, key, f"{path}.{name}")
    elif isinstance(part, list):
        for number, inner in enumerate(part):
            yield from _places(inner, key, f"{path}[{number}]")


def _schema_errors(schema: Mapping[str, Any]) -> Iterator[Violation]:
    for path, problem in schema_problems(schema):
        yield Violation(f"variables.{path}" if path else "variables", problem)


def _dangling(template: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Violation]:
    known = schema.get("properties", {})
    for name in dict.fromkeys(placeholders(template["job_configuration"])):
        first = re.split(r"[.\[]", name)[0]
        if name.startswith(_PREFECTS):
            problem = "lives in Prefect's own server: use {{ secrets.NAME }}, or a variable"
        elif first in known or name in known or name.startswith(("$", "secrets.", "ctx.")):
            continue
        else:
            problem = f"is no variable of the template{_nearest(first, known)}"
        yield Violation("job_configuration", f"{{{{ {name} }}}} {problem}")


# -- the variables ----------------------------------------------------------------------------


def _unknown(
    template: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]]
) -> Iterator[Violation]:
    schema = _schema(template)
    configuration = template.get("job_configuration", {})
    if schema.get("additionalProperties"):
        return
    known = set(schema.get("properties", {}))
    known |= {re.split(r"[.\[]", name)[0] for name in placeholders(configuration)}
    known |= {"env"} & set(configuration)
    names = dict.fromkeys(name for values in overrides.values() for name in values)
    unknown = [name for name in names if name not in known]
    for name in unknown[:_SHOWN]:
        allowed = _nearest(name, known) or f"; it knows: {', '.join(sorted(known)) or 'none'}"
        yield Violation(name, f"the template knows no such variable{allowed}")
    if more := unknown[_SHOWN:]:
        yield Violation("", f"{len(more):,} more variables that the template does not know")


def _overridden(
    schema: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]]
) -> Iterator[Violation]:
    for path, locked in _enforced(schema, ""):
        for source, values in overrides.items():
            given, value = _at(values, path.split("."))
            if not given or value == _default(schema, path.split(".")):
                continue
            if locked is True:
                problem = f"the pool enforces this variable: the {source} may not override it"
            elif isinstance(locked, list) and value not in locked:
                allowed = ", ".join(map(repr, locked))
                problem = f"the pool enforces one of {allowed}: the {source} asks for {value!r}"
            else:
                continue
            yield Violation(path, problem, Reason.ENFORCED_VARIABLE)


def _enforced(schema: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, declared in (schema.get("properties") or {}).items():
        if isinstance(declared, Mapping):
            path = f"{above}.{name}" if above else str(name)
            if locked := declared.get(ENFORCED):
                yield path, locked
            yield from _enforced(declared, path)


def _at(values: Any, path: Sequence[str]) -> tuple[bool, Any]:
    for step in path:
        if not isinstance(values, Mapping) or step not in values:
            return False, None
        values = values[step]
    return True, values


def _default(schema: Mapping[str, Any], path: Sequence[str]) -> Any:
    """The default of a variable, which may be inside that of an object around it."""
    name, *inner = path
    declared = schema.get("properties", {}).get(name, {})
    given, value = _at(declared.get("default"), inner)
    return value if given or not inner else _default(declared, inner)


def _blocks(
    overrides: Mapping[str, Mapping[str, Any]], merged: Mapping[str, Any]
) -> Iterator[Violation]:
    """What only Prefect's own server could fill in. A block that the pool has by default is left
    to the platform, which may have no use for it: credentials, for instance."""
    blocks = {n for values in overrides.values() for n, value in values.items() if _is_block(value)}
    for name, value in merged.items():
        if name in blocks or any(p.startswith(_PREFECTS) for p in placeholders(value)):
            text = "lives in Prefect's own server: use {{ secrets.NAME }}, or the value itself"
            yield Violation(name, text)


def _strays(template: Mapping[str, Any], layers: Sequence[Layer]) -> Iterator[Violation]:
    for name in stray_references(template, layers):
        allowed = f'put it into env, or declare the variable in the template with "{SECRETS}": true'
        yield Violation(name, f"a secret may not stand here: {allowed}")


def _misshapen(
    template: Mapping[str, Any], layers: Sequence[Layer], *, complete: bool
) -> Iterator[Violation]:
    try:
        configuration = render(template, layers).configuration
    except (TypeError, ValueError, KeyError) as error:
        yield Violation("", f"job_configuration cannot be rendered: {error}")
        return
    yield from (Violation(*found) for found in misshapen(configuration, complete=complete))


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping) and "$ref" in value


def _misfits(schema: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Violation]:
    required = set(schema.get("required", ()))
    given = {name: v for name, v in values.items() if v is not None or name in required}
    what = "the variables of the template"
    for error in misfits(_without(schema, "additionalProperties"), given, what):
        if not _is_secret(error.instance):
            yield Violation(_path(error), _problem(error))


def _command(
    template: Mapping[str, Any], merged: Mapping[str, Any], *, needed: bool
) -> Iterator[Violation]:
    """A command that no platform could execute."""
    command, reporter = merged.get("command"), merged.get("reporter")
    if isinstance(command, str) and _stands_alone(template.get("job_configuration"), "command"):
        try:
            command = shlex.split(command)
        except ValueError as error:
            yield Violation("command", f"cannot be split into words: {str(error).lower()}")
            return
    if not command and (needed or reporter) and "command" in _names(template):
        why = "this platform starts nothing without one" if needed else "the reporter needs one"
        yield Violation("command", f"is missing, and {why}: put it behind --")


def _names(template: Mapping[str, Any]) -> set[str]:
    return set(placeholders(template.get("job_configuration", {})))


def _stands_alone(part: Any, name: str) -> bool:
    """Whether a variable is a whole value somewhere: then it is split as a shell does."""
    if isinstance(part, str):
        return re.fullmatch(rf"\{{\{{\s*{name}\s*\}}\}}", part) is not None
    if isinstance(part, Mapping):
        return any(_stands_alone(inner, name) for inner in part.values())
    return isinstance(part, list) and any(_stands_alone(inner, name) for inner in part)


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Unknown variables have a message of their own."""
    return {name: value for name, value in schema.items() if name != key}


def _is_secret(value: Any) -> bool:
    """A reference is checked by what takes it: its value is known at the push only."""
    return isinstance(value, str) and bool(secret_references(value))


def _path(error: ValidationError) -> str:
    path = [str(step) for step in error.absolute_path]
    if error.validator == "required":
        missing = re.match(r"'(.*)' is a required property", error.message)
        path += [missing.group(1)] if missing else []
    return ".".join(path)


def _problem(error: ValidationError) -> str:
    declared: Any = error.validator_value
    match error.validator:
        case "required":
            return "is required, and neither the pool nor the run gives it a value"
        case "type":
            return f"{_short(error.instance)} is no {_types(declared)}"
        case "enum":
            return f"{_short(error.instance)} is none of {', '.join(map(repr, declared))}"
        case "anyOf" | "oneOf":
            allowed = [_option(option) for option in declared]
            return f"{_short(error.instance)} is no {' or '.join(dict.fromkeys(allowed))}"
        case _:
            return error.message


def _types(declared: Any) -> str:
    return " or ".join(declared) if isinstance(declared, list) else str(declared)


def _option(option: Mapping[str, Any]) -> str:
    return _types(option.get("type") or option.get("title") or option.get("$ref", "valid value"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _listed(what: str, found: Sequence[Violation]) -> str:
    return "\n".join([what, *(f"- {violation}" for violation in found)])
