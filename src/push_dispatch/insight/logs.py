"""What has an attempt written? Read from where it was kept, else from the platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from push_dispatch.core.errors import Invalid, PushDispatchError, Refused
from push_dispatch.core.model import Attempt, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import ReadsLogs
from push_dispatch.platforms.capabilities import log_reader
from push_dispatch.ports import Ports

__all__ = ["Part", "attempt_of", "lines_of", "part_of"]

#: Characters of one part: a function's reply has 6 MB at most.
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of a log, and the number of lines up to their end."""

    lines: list[str]
    after: int
    #: Whether the log has no further lines now.
    to_end: bool


def part_of(ports: Ports, run: Run, attempt: Attempt, after: int, limit: int) -> Part:
    """Read at most `limit` lines behind the first `after`. Raises Refused (`logs_unavailable`)."""
    lines: list[str] = []
    size = 0
    for line in islice(lines_of(ports, run, attempt), after, None):
        size += len(line)
        if len(lines) >= limit or (lines and size > _LARGEST):
            return Part(lines, after + len(lines), to_end=False)
        lines.append(line[:_LARGEST])
    return Part(lines, after + len(lines), to_end=True)


def lines_of(ports: Ports, run: Run, attempt: Attempt) -> Iterable[str]:
    """Read what an attempt has written; nothing if it has no handle yet. Raises Refused
    (`logs_unavailable`)."""
    if attempt.handle is None:
        return ()
    # Versions before 0.2 kept it under the run's uuid alone.
    store, number = ports.store, attempt.number
    kept = store.kept_log(run.pool, run.instance, number) or store.kept_log(
        run.pool, run.uuid, number
    )
    if kept is not None:
        return kept.split("\n")
    return _from_platform(ports, attempt.platform, attempt.handle)


def attempt_of(run: Run, number: int | None) -> Attempt | None:
    """The attempt of that number, or the last one; None if none was started. Raises Invalid."""
    if number is None:
        return run.current
    found = next((a for a in run.attempts if a.number == number), None)
    if found is None:
        known = ", ".join(str(a.number) for a in run.attempts) or "none"
        raise Invalid(f"run {run.id} has no attempt {number}; it has: {known}")
    return found


def _from_platform(ports: Ports, name: str, handle: str) -> Iterator[str]:
    try:
        platform: ReadsLogs | None = log_reader(ports.platform(name))
        if platform is None:
            raise Refused(f"platform {name!r} has no logs that can be read")
        yield from platform.logs(handle)
    except PushDispatchError as error:
        raise Refused(error.message, reason=Reason.LOGS_UNAVAILABLE) from error
