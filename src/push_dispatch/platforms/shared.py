"""Shared: what every platform needs and none owns. Standard library only.

Handles, questions to a platform, commands, environments, times and secrets. A platform of a third
party may use it as well.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self, TypeVar

from push_dispatch.core.canonical import text_of
from push_dispatch.core.errors import PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Job, Observation, Status, Watched
from push_dispatch.ports.secrets import Secrets

__all__ = [
    "Place",
    "Remembered",
    "asking",
    "building",
    "inner",
    "invalid",
    "lines",
    "lost",
    "main_of",
    "merged_env",
    "milliseconds",
    "no_credentials",
    "not_configured",
    "number",
    "objects",
    "observe_each",
    "observe_groups",
    "parsed",
    "place_in",
    "secret_named",
    "secret_values",
    "several",
    "text_of",
    "texts",
    "uncertain",
    "unknown",
    "words",
]

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
R = TypeVar("R")
#: Where an attempt is, as its handle says.
P = TypeVar("P")

#: Requests to one platform at the same moment.
AT_ONCE = 8


# -- before the first request -----------------------------------------------------------------


def invalid(message: str) -> Rejected:
    """Return the error of a template or a job variable that cannot be used as it is."""
    return Rejected(message, reason=Reason.TEMPLATE_INVALID)


def no_credentials(message: str) -> Rejected:
    """Return the error of an environment that does not say who this function is."""
    return Rejected(message, reason=Reason.CREDENTIALS_MISSING)


def not_configured(message: str) -> Rejected:
    """Return the error of an environment that lacks what the platform needs."""
    return Rejected(message, reason=Reason.PLATFORM_NOT_CONFIGURED)


@contextmanager
def building(
    problem: str = "no request can be made of the job configuration",
) -> Iterator[None]:
    """Wrap whatever happens before the first request of a push.

    Nothing has reached the platform, so nothing is uncertain: whatever is raised is a fault of the
    input and final. Raises Rejected (`template_invalid`); our own errors pass.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise invalid(f"{problem}: {type(error).__name__}: {error}") from error


def inner(holder: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    """Return the object under `key`, made if unset. `path` is where the holder is.

    Raises Rejected (`template_invalid`) if it is not an object.
    """
    if holder.get(key) is None:
        holder[key] = {}
    found = holder[key]
    if not isinstance(found, dict):
        raise invalid(f"{path}.{key} is not an object")
    return found


def objects(holder: Mapping[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    """Return the objects of the list under `key`, at least one.

    Raises Rejected (`template_invalid`) if it is not a list, empty, or has something else in it.
    """
    found = holder.get(key)
    if not isinstance(found, list) or not found:
        raise invalid(f"{path}.{key} is not a list with at least one object")
    for index, item in enumerate(found):
        if not isinstance(item, dict):
            raise invalid(f"{path}.{key}[{index}] is not an object")
    return found


def number(value: Any, path: str) -> float:
    """Return a number, which may be written as text. Raises Rejected (`template_invalid`)."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise invalid(f"{path} is {value!r}: it must be a number") from None


def words(command: Any, field: str = "command") -> list[str]:
    """Split a command as a POSIX shell does; a list is taken word by word. Empty if unset.

    Raises Rejected (`template_invalid`), which never quotes the command: secrets may be in it.
    """
    if isinstance(command, str):
        try:
            return shlex.split(command)
        except ValueError as error:
            raise invalid(f"{field} cannot be split into words: {error}") from error
    if command is None:
        return []
    if not isinstance(command, (list, tuple)):
        raise invalid(f"{field} is neither a text nor a list of words")
    return [text_of(word) for word in command]


def texts(values: Any, field: str = "env") -> dict[str, str]:
    """Return the texts of an object such as `env` or `labels`, without what is null.

    Raises Rejected (`template_invalid`) if it is not an object.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise invalid(f"{field} is not an object of names and values")
    return {str(name): text_of(value) for name, value in values.items() if value is not None}


def merged_env(own: Any, env: Any, field: str = "env") -> dict[str, dict[str, Any]]:
    """Return the entries {name, value, …} of an environment by name, with those of `env` over its
    own; a variable that is null removes its entry. Both may be an object, a list of entries, or a
    list with an object in it (`["{{ env }}", …]`).

    Raises Rejected (`template_invalid`) with the place in the list.
    """
    merged = {**_entries(own, field), **_entries(env, "env")}
    return {
        name: entry
        for name, entry in merged.items()
        if entry.keys() != {"name", "value"} or entry["value"] is not None
    }


#: Keys of an entry of a list, in the words of all platforms: an object without them is one of
#: variables.
_OF_AN_ENTRY = {"name", "value", "secureValue", "valueFrom", "valueSource"}


def _entries(env: Any, field: str) -> dict[str, dict[str, Any]]:
    if isinstance(env, Mapping):
        env = [{"name": str(name), "value": value} for name, value in env.items()]
    if env is not None and not isinstance(env, (list, tuple)):
        raise invalid(f"{field} is not an object of variables, nor a list of entries")
    found: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(env or ()):
        if isinstance(entry, Mapping) and not entry.keys() & _OF_AN_ENTRY:
            found |= _entries(entry, field)
        elif isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
            content = {} if entry.get("value") is None else {"value": text_of(entry["value"])}
            found[entry["name"]] = {**entry, **content}
        else:
            raise invalid(f"{field}[{index}] is not an object with name and value")
    return found


def main_of(containers: Sequence[Mapping[str, Any]], configuration: Mapping[str, Any]) -> int:
    """Return the index of the container that runs the attempt: the one in which the template names
    the job variable `command`, `args` or `image`, in this order; else the first."""
    for key in ("command", "args", "image"):
        if wanted := configuration.get(key):
            for index, container in enumerate(containers):
                if container.get(key) == wanted:
                    return index
    return 0


def secret_named(secrets: Secrets, environ: Mapping[str, str], variable: str) -> str:
    """Return the system secret that an environment variable names.

    Raises Rejected (`secret_unavailable`), which says where it has to be; Unavailable.
    """
    name = environ[variable]
    try:
        return secrets.read(name)
    except KeyError as error:
        raise Rejected(
            f"{variable}: secret {name!r} cannot be read: create {secrets.where(name)}, or grant "
            "the right to read it",
            reason=Reason.SECRET_UNAVAILABLE,
        ) from error


def secret_values(job: Job) -> dict[str, str]:
    """Read the job's secrets, by environment variable. Raises Rejected (`secret_unavailable`)."""
    try:
        return {name: secret.read() for name, secret in job.secrets.items()}
    except KeyError as error:
        raise Rejected(
            f"secret {error} cannot be read", reason=Reason.SECRET_UNAVAILABLE
        ) from error


# -- questions --------------------------------------------------------------------------------


def uncertain(error: PlatformError) -> PlatformError:
    """Return the error of a refused question: nothing can be concluded, whatever the refusal."""
    if isinstance(error, Throttled | Uncertain):
        return error
    return Uncertain(error.message, reason=error.reason)


@contextmanager
def asking() -> Iterator[None]:
    """Wrap a question: raise Throttled or Uncertain, whatever the refusal."""
    try:
        yield
    except PlatformError as error:
        raise uncertain(error) from error


class Remembered(dict[K, V]):
    """What is made for a key when it is first asked for."""

    def __init__(self, make: Callable[[K], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: K) -> V:
        value = self[key] = self._make(key)
        return value


def several(function: Callable[[T], R], items: Sequence[T], at_once: int = AT_ONCE) -> list[R]:
    """Call `function` with each item, `at_once` at a time; the results are in order."""
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(at_once, len(items))) as pool:
        return list(pool.map(function, items))


def observe_each(
    jobs: Sequence[Watched],
    parse: Callable[[str], P],
    observe: Callable[[Watched, P], Observation],
    at_once: int = AT_ONCE,
) -> list[Observation]:
    """Observe attempts one by one, several at once: LOST if `parse` raises ValueError on the
    handle, UNKNOWN if `observe` raises a PlatformError."""

    def one(attempt: tuple[Watched, P]) -> Observation:
        try:
            return observe(*attempt)
        except PlatformError as error:
            return unknown(attempt[0], error.message)

    known, seen = parsed(jobs, parse)
    return several(one, known, at_once) + seen


def observe_groups(
    jobs: Sequence[Watched],
    parse: Callable[[str], P],
    key: Callable[[P], object],
    observe: Callable[[Sequence[tuple[Watched, P]]], list[Observation]],
    size: int = 100,
) -> list[Observation]:
    """Observe attempts in groups of the same `key`, at most `size` at a time: LOST if `parse`
    raises ValueError on the handle, UNKNOWN for a group of which `observe` raises a
    PlatformError."""
    known, seen = parsed(jobs, parse)
    groups: dict[object, list[tuple[Watched, P]]] = defaultdict(list)
    for watched, place in known:
        groups[key(place)].append((watched, place))
    for group in groups.values():
        for start in range(0, len(group), size):
            part = group[start : start + size]
            try:
                seen += observe(part)
            except PlatformError as error:
                seen += [unknown(watched, error.message) for watched, _ in part]
    return seen


def parsed(
    jobs: Sequence[Watched], parse: Callable[[str], P]
) -> tuple[list[tuple[Watched, P]], list[Observation]]:
    """Return the attempts with their parsed handles, and LOST for each handle that is none."""
    found: list[tuple[Watched, P]] = []
    missing: list[Observation] = []
    for watched in jobs:
        try:
            found.append((watched, parse(watched.handle)))
        except ValueError as error:
            missing.append(lost(watched, str(error)))
    return found, missing


def place_in(parse: Callable[[str], P], handle: str) -> P | None:
    """Return the parsed handle; None if it is none, as of an attempt that never was."""
    try:
        return parse(handle)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attempt is. As a string it is the handle: `FORM`, with the fields of a subclass in
    it, which are texts."""

    FORM: ClassVar[str]

    @classmethod
    def parse(cls, handle: str) -> Self:
        """Return the place of a handle. Raises ValueError if it is none. Case does not count, and
        only a field at the beginning may have slashes in it."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(cls.FORM))
        pattern = re.sub(r"^(\(\?P<\w+>)\[\^/\]", r"\1.", pattern)
        if (match := re.fullmatch(pattern, handle, re.IGNORECASE)) is None:
            raise ValueError(f"{handle!r} is no {cls.FORM}")
        return cls(**match.groupdict())

    def __str__(self) -> str:
        return self.FORM.format_map(asdict(self))


def lost(watched: Watched, message: str | None = None) -> Observation:
    """Return the observation of an attempt that the platform does not know (any more)."""
    return Observation(
        watched.run_id, watched.attempt, Status.LOST, watched.handle, message=message
    )


def unknown(watched: Watched, message: str | None = None) -> Observation:
    """Return the observation of an attempt that could not be asked about."""
    return Observation(
        watched.run_id, watched.attempt, Status.UNKNOWN, watched.handle, message=message
    )


# -- answers ----------------------------------------------------------------------------------


def milliseconds(time: datetime | str | None) -> int | None:
    """Return a moment in epoch milliseconds; None for none, and for the year 1 of Go's zero time.

    Takes RFC 3339 with up to nanoseconds, and datetimes. Without a time zone it is UTC.
    """
    if isinstance(time, str):
        # Nanoseconds are more than Python 3.11 reads.
        time = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", time)) if time else None
    if time is None or time.year == 1:
        return None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines in a stream of bytes, without line ends; what is no UTF-8 is replaced."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")
