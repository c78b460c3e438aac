"""How does a base job template become the configuration of a job?

Prefect's templates and rules, with the differences listed in `docs/reference/differences.md`:
placeholders
are replaced in one pass from left to right and inserted text is never looked at again;
`{{ $NAME }}` reads an allow-list, never the function's environment; `{{ secrets.NAME }}` stays as
it is until the push. Pure: the same inputs give the same configuration, byte for byte.
"""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "SECRETS",
    "Layer",
    "Rendered",
    "mark_secrets",
    "merge_variables",
    "placeholders",
    "render",
    "resolve_secrets",
    "secret_references",
    "split",
    "stray_references",
    "unmark_secrets",
]

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")
#: The schema of a variable says with this key that its value may refer to secrets.
SECRETS = "x-secrets"

_SECRET = re.compile(r"\{\{\s*secrets\.([\w.\-/]+)\s*\}\}")
#: One of Unicode's noncharacters, which are for a program's own use: no text from outside has it.
_MARK = "\ufdd0"
_MARKED = re.compile(rf"{_MARK}([\w.\-/]+){_MARK}")

#: What a template calls a command, and what holds names that are not the template's.
_COMMANDS = {"command", "args", "entrypoint", "entryPoint"}
_NAMES = {"env", "environment", "labels", "annotations", "tags"}

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
    of an object. Raises TypeError if a part of something is named that is no object."""
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


def mark_secrets(part: Any) -> Any:
    """Return a copy in which each secret reference is marked as one that may be resolved.

    What rendering puts together of pieces, such as `{{ secrets.` of one variable and `db }}` of the
    next, is a reference without a mark. Raises ValueError if there is the character that marks are
    made of.
    """
    if isinstance(part, str):
        if _MARK in part:
            raise ValueError(f"{part[:40]!r} contains the character U+FDD0")
        return _SECRET.sub(rf"{_MARK}\1{_MARK}", part)
    return _mapped(mark_secrets, part)


def unmark_secrets(part: Any) -> Any:
    """Return a copy with the references that `mark_secrets` has marked."""
    if isinstance(part, str):
        return _MARKED.sub(r"{{ secrets.\1 }}", part)
    return _mapped(unmark_secrets, part)


def _mapped(change: Callable[[Any], Any], part: Any) -> Any:
    if isinstance(part, Mapping):
        return {key: change(value) for key, value in part.items()}
    return [change(value) for value in part] if isinstance(part, (list, tuple)) else part


def stray_references(template: Mapping[str, Any], overrides: Sequence[Layer]) -> list[str]:
    """The job variables with a secret reference in a place where none may stand, in the order of
    their names.

    References go into `env`, into a command (whose words no platform quotes), and into variables
    of which the pool's owner says in their schema that they take them (`"x-secrets": true`).
    Anywhere else a value would end up in names, labels and error messages, and whoever may submit
    a run could read it there without running anything.
    """
    declared = template.get("variables", {}).get("properties", {})
    asked = _merge({}, overrides).values
    return sorted(
        name
        for name, value in asked.items()
        if secret_references(value)
        and not (name == "env" and isinstance(value, Mapping))
        and not (name in _COMMANDS or _takes_secrets(declared.get(name)))
    )


def _takes_secrets(declared: Any) -> bool:
    return isinstance(declared, Mapping) and declared.get(SECRETS) is True


def resolve_secrets(configuration: Any, lookup: Callable[[str], str], key: str = "") -> Any:
    """Return a copy with every secret reference replaced by its value. What `lookup` raises passes
    through. A value is never looked at again.

    A command that refers to a secret becomes a list of words first, so that one secret is always
    one word or part of one, whatever is in it. Raises ValueError, with the reference in place of
    the secret, if such a command cannot be split.
    """
    if isinstance(configuration, str):
        if key in _COMMANDS and _SECRET.search(configuration):
            return resolve_secrets(split(configuration), lookup)
        return _SECRET.sub(lambda match: lookup(match.group(1)), configuration)
    if isinstance(configuration, Mapping):
        # Names of environment variables and labels say nothing about their values.
        named = key in _NAMES
        return {
            name: resolve_secrets(value, lookup, "" if named else name)
            for name, value in configuration.items()
        }
    if isinstance(configuration, (list, tuple)):
        return [resolve_secrets(value, lookup) for value in configuration]
    return configuration


def split(command: str) -> list[str]:
    """Split a command into words as a POSIX shell does, with a secret reference as one word or
    part of one. Raises ValueError, which quotes the command as it is."""
    references: list[str] = []

    def hide(match: re.Match[str]) -> str:
        references.append(match.group())
        return f"\0{len(references) - 1}\0"

    try:
        words = shlex.split(_SECRET.sub(hide, command.replace("\0", "")))
    except ValueError as error:
        raise ValueError(f"the command {command!r} cannot be split: {error}") from error
    return [re.sub("\0(\\d+)\0", lambda m: references[int(m[1])], word) for word in words]


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
    for name, value in _asked(overrides, merged).items():
        if name == "env" and isinstance(value, Mapping):
            values["env"] = {**pool_env, **copy.deepcopy(value)}
        elif name != "env" or value is not None or not pool_env:
            values[name] = copy.deepcopy(value)
    return merged


def _has_default(declared: Any) -> bool:
    return isinstance(declared, Mapping) and declared.get("default") is not None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _asked(overrides: Sequence[Layer], merged: _Merged) -> dict[str, Any]:
    """What the layers ask for together; notes in `merged` who asked last."""
    asked: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for layer in overrides:
        named_in_part = _expanded(layer.variables)
        whole = {name: value for name, value in layer.variables.items() if "." not in name}
        for name, value in named_in_part.items():
            parts[name] = _over(parts.get(name), value)
            asked[name] = _over(asked.get(name), value)
        for name, value in whole.items():
            asked[name] = _replaced(name, value, asked, parts)
        for variables in (named_in_part, whole):
            merged.sources |= dict.fromkeys(variables, layer.source)
            merged.env_sources |= dict.fromkeys(_object(variables.get("env")), layer.source)
    return asked


def _replaced(name: str, value: Any, asked: Mapping[str, Any], parts: Mapping[str, Any]) -> Any:
    """A whole value over those below it: only what was named in part shines through, and `env`."""
    if name != "env":
        return _over(parts.get(name), value)
    if value is None and isinstance(asked.get("env"), Mapping):
        return asked["env"]
    return _over(asked.get("env"), value)


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
