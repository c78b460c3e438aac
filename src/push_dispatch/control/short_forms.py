"""How may a `pools.yaml` write rates and durations? As on the command line: `100/h`, `10m`.

Short forms become the fields that are stored (`rate: {starts, period_seconds}`, `timeout_seconds`)
before the file is held to its schema, so that both forms have the same bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from push_dispatch.core.durations import duration, rate
from push_dispatch.core.errors import Invalid

__all__ = ["Expanded", "expand"]

Path = tuple[str | int, ...]

_RATES = ("rate", "platform_rate")
#: Names whose long form ends in `_seconds`, by the kind of object that has them.
_POOL = ("hold", "give_up", "ageing")
_DEPLOYMENT = ("timeout", "retry_delay", "start_by", "debounce")
_SCHEDULE = ("every", "jitter")
#: Always in seconds, without saying so in its name.
_START_WITHIN = "start_within"
_ANY_RATE = {"starts": 1, "period_seconds": 1}
_ANY_SECONDS = 3600
_OR_OBJECT = ", or {starts: 100, period_seconds: 3600}"


@dataclass
class Expanded:
    """A document in long forms, what is wrong with the short ones, and where each was written."""

    document: Any
    problems: dict[Path, str] = field(default_factory=dict)
    written: dict[Path, Path] = field(default_factory=dict)

    def shown(self, path: Path) -> str:
        """A path as the file has it."""
        return ".".join(map(str, self.written.get(path, path))) or "(top level)"


def expand(document: Any) -> Expanded:
    """The document with long forms only; it is not changed itself. Anything else, and what is
    not shaped as it should be, stays as it is."""
    expanded = Expanded(document)
    if not isinstance(document, Mapping):
        return expanded
    copy = dict(document)
    expanded.document = copy
    for name, pool in _objects(copy, "pools"):
        _durations(expanded, pool, ("pools", name), _POOL)
        _rates(expanded, pool, ("pools", name))
        for group in ("queues", "limits"):
            for each, entry in _objects(pool, group):
                _rates(expanded, entry, ("pools", name, group, each))
    for name, deployment in _objects(copy, "deployments"):
        _durations(expanded, deployment, ("deployments", name), _DEPLOYMENT)
        _replaced(expanded, deployment, ("deployments", name), _START_WITHIN, _START_WITHIN)
        for number, schedule in _objects(deployment, "schedules"):
            path = ("deployments", name, "schedules", number)
            _durations(expanded, schedule, path, _SCHEDULE)
    return expanded


def _objects(parent: dict[str, Any], name: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Copies of the objects in an object or a list, put into their places."""
    group = parent.get(name)
    if isinstance(group, Mapping):
        copy: Any = dict(group)
        entries = list(copy.items())
    elif isinstance(group, list):
        copy = list(group)
        entries = list(enumerate(copy))
    else:
        return
    parent[name] = copy
    for key, entry in entries:
        if isinstance(entry, Mapping):
            copy[key] = dict(entry)
            yield key, copy[key]


def _durations(expanded: Expanded, entry: dict[str, Any], path: Path, names: Any) -> None:
    for name in names:
        _replaced(expanded, entry, path, name, f"{name}_seconds")


def _replaced(expanded: Expanded, entry: dict[str, Any], path: Path, name: str, long: str) -> None:
    if name not in entry:
        return
    if name != long and long in entry:
        expanded.problems[*path, name] = f"{long} is given, too: write one of them"
        return
    value = entry.pop(name)
    entry[long] = value
    expanded.written[*path, long] = (*path, name)
    if isinstance(value, str):
        _converted(expanded, entry, (*path, long), partial(duration, value, "the value"))


def _rates(expanded: Expanded, entry: dict[str, Any], path: Path) -> None:
    for name in _RATES:
        value = entry.get(name)
        if isinstance(value, str):
            _converted(expanded, entry, (*path, name), partial(_rate, value))


def _rate(text: str) -> dict[str, int]:
    found = rate(text, "the value", otherwise=_OR_OBJECT)
    return {"starts": found.starts, "period_seconds": found.period_seconds}


def _converted(
    expanded: Expanded, entry: dict[str, Any], path: Path, convert: Callable[[], Any]
) -> None:
    """In the place of a value that cannot be converted is one that every field takes, so that what
    is wrong is said once."""
    name = str(path[-1])
    try:
        entry[name] = convert()
    except Invalid as error:
        entry[name] = dict(_ANY_RATE) if name in _RATES else _ANY_SECONDS
        expanded.problems[path] = error.message
