"""How does a base job template become the configuration of a job?

Prefect's templates and rules, with the differences listed in `docs/differences.md`: placeholders
are replaced in one pass from left to right and inserted text is never looked at again; `{{ $NAME }}`
reads an allow-list, never the function's environment; `{{ secrets.NAME }}` stays as it is
until the push. Pure: the same inputs give the same configuration, byte for byte.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Layer",
    "Rendered",
    "merge_variables",
    "placeholders",
    "render",
    "resolve_secrets",
    "secret_references",
]

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")
_SECRET = re.compile(r"\{\{\s*secrets\.([\w.\-/]+)\s*\}\}")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")

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
    """Fill the template in. Never changes its inputs. Raises TypeError for what is not JSON."""
    merged = _merge(template, overrides)
    renderer = _Renderer(merged.values, merged.sources, env_allowlist or {})
    configuration = renderer.fill(template.get("job_configuration", {}), "")
    if not isinstance(configuration, dict):
        raise TypeError("job_configuration is not an object")
    _fill_env(template, merged, configuration, renderer)
    return Rendered(configuration, renderer.provenance, merged.values)


def merge_variables(template: Mapping[str, Any], overrides: Sequence[Layer]) -> dict[str, Any]:
    """The pool's defaults with the layers over them. Values replace each other as a whole, but
    for `env`, which is merged key by key."""
    return _merge(template, overrides).values


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


def secret_references(configuration: Any) -> set[str]:
    """The names of the secrets that a configuration refers to."""
    if isinstance(configuration, str):
        return set(_SECRET.findall(configuration))
    if isinstance(configuration, Mapping):
        return {name for value in configuration.values() for name in secret_references(value)}
    if isinstance(configuration, Sequence):
        return {name for value in configuration for name in secret_references(value)}
    return set()


def resolve_secrets(configuration: Any, lookup: Callable[[str], str]) -> Any:
    """A copy with every secret reference replaced by its value. What `lookup` raises passes
    through. A value is never looked at again."""
    if isinstance(configuration, str):
        return _SECRET.sub(lambda match: lookup(match.group(1)), configuration)
    if isinstance(configuration, Mapping):
        return {key: resolve_secrets(value, lookup) for key, value in configuration.items()}
    if isinstance(configuration, (list, tuple)):
        return [resolve_secrets(value, lookup) for value in configuration]
    return configuration


# -- variables --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Merged:
    values: dict[str, Any]
    #: Name of a variable to its origin.
    sources: dict[str, str]
    #: The same for each environment variable.
    env: dict[str, Any]
    env_sources: dict[str, str]


def _merge(template: Mapping[str, Any], overrides: Sequence[Layer]) -> _Merged:
    properties = template.get("variables", {}).get("properties", {})
    values = {n: copy.deepcopy(p["default"]) for n, p in properties.items() if _has_default(p)}
    sources = dict.fromkeys(values, "pool")
    env = dict(values["env"]) if isinstance(values.get("env"), Mapping) else {}
    merged = _Merged(values, sources, env, dict.fromkeys(env, "pool"))
    asked: dict[str, Any] = {}
    for layer in overrides:
        for name, value in _nested(layer.variables).items():
            _put(merged, asked, name, value, layer.source)
    return merged


def _has_default(declared: Any) -> bool:
    return isinstance(declared, Mapping) and declared.get("default") is not None


def _put(merged: _Merged, asked: dict[str, Any], name: str, value: Any, source: str) -> None:
    merged.sources[name] = source
    if name == "env" and isinstance(value, Mapping):
        # One level deep over the layers below; over the pool's defaults likewise.
        asked["env"] = {**(asked.get("env") or {}), **value}
        merged.env |= value
        merged.env_sources |= dict.fromkeys(value, source)
        merged.values["env"] = dict(merged.env)
    else:
        merged.values[name] = copy.deepcopy(value)


def _nested(variables: Mapping[str, Any]) -> dict[str, Any]:
    """`{"env.FOO": 1}` as `{"env": {"FOO": 1}}`; a key that is nested already wins."""
    plain = {key: value for key, value in variables.items() if "." not in key}
    dotted = {key: value for key, value in variables.items() if "." in key}
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        *path, last = key.split(".")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise TypeError(f"job variable {key!r}: {part!r} is not an object")
        inner[last] = value
    return _deep_merge(nested, plain)


def _deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = _deep_merge(known, value) if both else value  # type: ignore[arg-type]
    return merged


def _fill_env(
    template: Mapping[str, Any],
    merged: _Merged,
    configuration: dict[str, Any],
    renderer: _Renderer,
) -> None:
    """The environment of the job: what the template says literally, then pool, deployment, run."""
    declared = template.get("job_configuration", {}).get("env")
    if not merged.env and not isinstance(declared, Mapping):
        return
    if declared is None and "pool" not in merged.env_sources.values():
        return
    literal = configuration.get("env") if isinstance(declared, Mapping) else None
    configuration["env"] = {**(literal or {}), **merged.env}
    renderer.provenance.pop("env", None)
    for name, source in merged.env_sources.items():
        renderer.provenance[f"env.{name}"] = source


# -- the configuration ------------------------------------------------------------------------


class _Missing:
    """A placeholder without a value: its key is dropped."""


_MISSING = _Missing()


@dataclass(slots=True)
class _Renderer:
    values: Mapping[str, Any]
    sources: Mapping[str, str]
    environ: Mapping[str, str]
    provenance: dict[str, str] = field(default_factory=dict)

    def fill(self, part: Any, path: str) -> Any:
        if isinstance(part, str):
            return self._text(part, path)
        if isinstance(part, Mapping):
            filled = {k: self.fill(v, f"{path}.{k}" if path else str(k)) for k, v in part.items()}
            return {key: value for key, value in filled.items() if value is not _MISSING}
        if isinstance(part, (list, tuple)):
            items = [self.fill(value, f"{path}[{n}]") for n, value in enumerate(part)]
            return [value for value in items if value is not _MISSING]
        if part is None or isinstance(part, (bool, int, float)):
            self.provenance[path] = "template"
            return part
        raise TypeError(f"{path}: {type(part).__name__} is not JSON")

    def _text(self, text: str, path: str) -> Any:
        alone = _PLACEHOLDER.fullmatch(text)
        if alone and not alone.group(1).startswith(("$", *_LEFT_ALONE)):
            value = self._value(alone.group(1))
            if value is _MISSING:
                return value
            self.provenance[path] = self._source(alone.group(1))
            return copy.deepcopy(value)
        names = [n for n in _PLACEHOLDER.findall(text) if not n.startswith(_LEFT_ALONE)]
        sources = {self._source(name) for name in names}
        self.provenance[path] = _strongest(sources)
        return _PLACEHOLDER.sub(self._inserted, text)

    def _inserted(self, match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith(_LEFT_ALONE):
            return match.group()
        if name.startswith("$"):
            return self.environ.get(name[1:], "")
        value = self._value(name)
        return "" if value is _MISSING else str(value)

    def _value(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        value: Any = self.values
        for key, index in _STEP.findall(name):
            value = _step(value, key, index)
            if value is _MISSING:
                return _MISSING
        return value

    def _source(self, name: str) -> str:
        first = _STEP.match(name)
        return self.sources.get(first.group(1) or "", "template") if first else "template"


def _step(value: Any, key: str, index: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key or index, _MISSING)
    number = index or key
    if isinstance(value, list) and number.isdigit() and int(number) < len(value):
        return value[int(number)]
    return _MISSING


def _strongest(sources: set[str]) -> str:
    for source in ("run", "deployment", "pool"):
        if source in sources:
            return source
    return next(iter(sorted(sources)), "template")
