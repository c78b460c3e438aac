"""How does a base job template become the configuration of a job?

Prefect's templates and rules, with the differences listed in `docs/reference/differences.md`:
placeholders are replaced in one pass from left to right, and inserted text is never read again;
`{{ $NAME }}` reads an allow-list, never the function's environment; `{{ secrets.NAME }}` stays as
it is until the push (`engine.job`). Pure: the same inputs give the same configuration, byte for
byte.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

__all__ = [
    "Layer",
    "Rendered",
    "merge_variables",
    "placeholders",
    "render",
    "with_defaults",
]

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")
#: Placeholders that the renderer leaves to others: resolved at the push, or refused before.
_LEFT_ALONE = ("secrets.", "prefect.blocks.", "prefect.variables.", "ctx.")


@dataclass(frozen=True, slots=True)
class Layer:
    """Job variables of one origin; later layers win."""

    #: `deployment` or `run`.
    source: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A job configuration and where each of its values comes from."""

    configuration: dict[str, Any]
    #: Path in the configuration, such as `env.HOME` or `containers[0].image`, to `template`,
    #: `pool`, or the source of a layer.
    provenance: Mapping[str, str] = field(default_factory=dict)
    #: The variables that were filled in.
    variables: Mapping[str, Any] = field(default_factory=dict)


def render(
    template: Mapping[str, Any],
    overrides: Sequence[Layer],
    *,
    env_allowlist: Mapping[str, str] | None = None,
) -> Rendered:
    """Fill the template in. Never changes its inputs. Raises TypeError for what is not JSON, and
    where an object is needed and something else is there."""
    merged = _merge(template, overrides)
    renderer = _Renderer(merged, env_allowlist or {})
    configuration = renderer.fill(template.get("job_configuration", {}), "")
    if not isinstance(configuration, dict):
        raise TypeError("job_configuration is not an object")
    renderer.fill_env(configuration, template.get("job_configuration", {}).get("env"))
    return Rendered(configuration, renderer.provenance, merged.values)


def merge_variables(template: Mapping[str, Any], overrides: Sequence[Layer]) -> dict[str, Any]:
    """The pool's defaults with the layers over them. Values replace each other as a whole, but
    for `env`, which is merged key by key. A name with dots, such as `labels.team`, says one part
    of an object. Raises TypeError if a part of something is named that is not an object."""
    return _merge(template, overrides).values


def with_defaults(template: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """The template with other defaults. `env` and names with dots add to those that are there.
    Raises Invalid (`invalid_variables`) for a variable that the template does not have."""
    changed = copy.deepcopy(dict(template))
    properties = changed.get("variables", {}).get("properties", {})
    names = dict.fromkeys(name.partition(".")[0] for name in variables)
    for name in names:
        if name not in properties:
            near = get_close_matches(name, list(properties), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problem = f"the base job template has no variable {name!r}{hint}"
            raise Invalid(problem, reason=Reason.INVALID_VARIABLES)
    try:
        values = merge_variables(template, [Layer("pool", variables)])
    except TypeError as error:
        raise Invalid(str(error), reason=Reason.INVALID_VARIABLES) from error
    for name in names:
        properties[name] = {**properties[name], "default": values[name]}
    return changed


def placeholders(configuration: Any) -> Iterator[str]:
    """The name in every placeholder of a configuration."""
    if isinstance(configuration, str):
        yield from _PLACEHOLDER.findall(configuration)
    elif isinstance(configuration, Mapping):
        for value in configuration.values():
            yield from placeholders(value)
    elif isinstance(configuration, Sequence):
        for value in configuration:
            yield from placeholders(value)


# -- variables --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Merged:
    values: dict[str, Any]
    #: Name of a variable to its origin, and the same for each environment variable.
    sources: dict[str, str]
    env_sources: dict[str, str]
    #: Does the pool itself set environment variables?
    pool_has_env: bool


def _merge(template: Mapping[str, Any], overrides: Sequence[Layer]) -> _Merged:
    properties = template.get("variables", {}).get("properties", {})
    values = {n: copy.deepcopy(p["default"]) for n, p in properties.items() if _has_default(p)}
    pool_env = _object(values.get("env"))
    merged = _Merged(
        values, dict.fromkeys(values, "pool"), dict.fromkeys(pool_env, "pool"), bool(pool_env)
    )
    for name, value in _overridden(overrides, merged).items():
        if name == "env" and isinstance(value, Mapping):
            values["env"] = {**pool_env, **copy.deepcopy(value)}
        elif name != "env" or value is not None or not pool_env:
            values[name] = copy.deepcopy(value)
    return merged


def _has_default(declared: Any) -> bool:
    return isinstance(declared, Mapping) and declared.get("default") is not None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _overridden(overrides: Sequence[Layer], merged: _Merged) -> dict[str, Any]:
    """What the layers ask for together; notes in `merged` who asked last."""
    overridden: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for layer in overrides:
        named_in_part = _expanded(layer.variables)
        whole = {name: value for name, value in layer.variables.items() if "." not in name}
        for name, value in named_in_part.items():
            parts[name] = _over(parts.get(name), value)
            overridden[name] = _over(overridden.get(name), value)
        for name, value in whole.items():
            overridden[name] = _replaced(name, value, overridden, parts)
        for variables in (named_in_part, whole):
            merged.sources |= dict.fromkeys(variables, layer.source)
            merged.env_sources |= dict.fromkeys(_object(variables.get("env")), layer.source)
    return overridden


def _replaced(
    name: str, value: Any, overridden: Mapping[str, Any], parts: Mapping[str, Any]
) -> Any:
    """A whole value over those below it: only what was named in part shines through, and `env`."""
    if name != "env":
        return _over(parts.get(name), value)
    if value is None and isinstance(overridden.get("env"), Mapping):
        return overridden["env"]
    return _over(overridden.get("env"), value)


def _expanded(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with dots in their names: `{"env.FOO": 1}` is `{"env": {"FOO": 1}}`."""
    expanded: dict[str, Any] = {}
    for name, value in variables.items():
        if "." not in name:
            continue
        *path, last = _steps(name)
        inner = expanded
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise TypeError(f"job variable {name!r}: {part!r} is not an object")
        inner[last] = copy.deepcopy(value)  # a further name may go into it
    return expanded


def _over(below: Any, above: Any) -> Any:
    """Objects are merged all the way down; anything else is replaced."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: _over(below.get(key), value) for key, value in above.items()}}


def _steps(name: str) -> list[str]:
    """`a.b[0]` is a, then b, then 0."""
    return name.replace("[", ".").replace("]", "").split(".")


# -- the configuration ------------------------------------------------------------------------


class _Missing:
    """A placeholder without a value: its key is dropped."""


_MISSING = _Missing()


@dataclass(slots=True)
class _Renderer:
    merged: _Merged
    environ: Mapping[str, str]
    provenance: dict[str, str] = field(default_factory=dict)

    def fill(self, part: Any, path: str) -> Any:
        if isinstance(part, str):
            return self._text(part, path)
        if isinstance(part, Mapping):
            filled = {k: self.fill(v, f"{path}.{k}" if path else str(k)) for k, v in part.items()}
            return {key: value for key, value in filled.items() if value is not _MISSING}
        if isinstance(part, (list, tuple)):
            return self._items(part, path)
        if part is None or isinstance(part, (bool, int, float)):
            self.provenance[path] = "template"
            return part
        raise TypeError(f"{path}: {type(part).__name__} is not JSON")

    def fill_env(self, configuration: dict[str, Any], declared: Any) -> None:
        """The environment of the job: what the template says, then pool, deployment, run."""
        literal = isinstance(declared, Mapping)
        if not literal and not self.merged.pool_has_env:
            return  # an ordinary placeholder, or none
        env = self.merged.values.get("env")
        if env is not None and not isinstance(env, Mapping):
            raise TypeError(f"job variable 'env': {type(env).__name__} is not an object")
        below = configuration["env"] if literal else {}
        configuration["env"] = {**below, **copy.deepcopy(dict(env or {}))}
        if not literal:
            self.provenance.pop("env", None)
        self._note_env("env", env or {})

    def _items(self, part: Sequence[Any], path: str) -> list[Any]:
        items: list[Any] = []
        for value in part:
            # Counted as they come out, so that the paths fit the result.
            filled = self.fill(value, f"{path}[{len(items)}]")
            if filled is not _MISSING:
                items.append(filled)
        return items

    def _text(self, text: str, path: str) -> Any:
        alone = _PLACEHOLDER.fullmatch(text)
        if alone and not alone.group(1).startswith(("$", *_LEFT_ALONE)):
            return self._lone(alone.group(1), path)
        names = [n for n in _PLACEHOLDER.findall(text) if not n.startswith(_LEFT_ALONE)]
        self.provenance[path] = _strongest({self._source(name) for name in names})
        return _PLACEHOLDER.sub(self._inserted, text)

    def _lone(self, name: str, path: str) -> Any:
        value = self._value(name)
        if value is _MISSING:
            return value
        if name == "env" and isinstance(value, Mapping):
            self._note_env(path, value)
        self.provenance.setdefault(path, self._source(name))
        return copy.deepcopy(value)

    def _note_env(self, path: str, env: Mapping[str, Any]) -> None:
        for name in env:
            self.provenance[f"{path}.{name}"] = self.merged.env_sources[name]

    def _inserted(self, match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith(_LEFT_ALONE):
            return match.group()
        if name.startswith("$"):
            return self.environ.get(name.lstrip("$"), "")
        value = self._value(name)
        return "" if value is _MISSING else str(value)

    def _value(self, name: str) -> Any:
        value: Any = self.merged.values
        for step in _steps(name):
            try:
                value = value[_key(step)]
            except (KeyError, IndexError, TypeError):
                return _MISSING
        return value

    def _source(self, name: str) -> str:
        first, *rest = _steps(name)
        if first == "env" and rest:
            return self.merged.env_sources.get(rest[0], "template")
        return self.merged.sources.get(first, "template")


def _key(step: str) -> str | int:
    try:
        return int(step)
    except ValueError:
        return step


def _strongest(sources: set[str]) -> str:
    return next((s for s in ("run", "deployment", "pool") if s in sources), "template")
