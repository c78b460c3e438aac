"""What has an attempt written? Read from where it was kept, else from the platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from push_dispatch.core.errors import Invalid, PushDispatchError, Refused
from push_dispatch.core.model import Attempt, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import ReadsLogs
from push_dispatch.platforms.capabilities import capabilities_of, log_reader
from push_dispatch.ports import Ports

__all__ = ["Part", "Unseen", "arrive_late", "attempt_of", "lines_of", "part_of"]

#: Characters of one part: a function's reply has 6 MB at most.
_LARGEST = 1_000_000
#: Lines by which a log is recognised whose beginning is gone.
_TAIL = 200


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


class Unseen:
    """Tells what is new in a log that is read again and again.

    A platform gives the whole log, or only its end: Modal and ACI keep so many lines or bytes, and
    the log of a process is cut when it grows too long. So a line is known by those before it, not
    by its number alone.
    """

    def __init__(self) -> None:
        #: The last lines that were returned, and how many lines there were up to their end.
        self._tail: list[str] = []
        self._count = 0
        self._last: tuple[int, str] | None = None

    def of(self, lines: Iterable[str], *, over: bool) -> list[str]:
        """Return the lines that are new. Until the log is `over`, its last line is kept back once:
        it may be half written. One that has grown all the same is returned again."""
        read = list(lines)
        if not read:
            return []
        last = (len(read), read[-1])
        end = len(read) if over or last == self._last else len(read) - 1
        known = min(self._known(read), end)
        self._last, self._count, self._tail = last, end, read[:end][-_TAIL:]
        return read[known:end]

    def _known(self, read: list[str]) -> int:
        """How many of these lines were returned before."""
        tail, count = self._tail, self._count
        if read[:count][-len(tail) :] == tail or not tail:
            return count
        if len(read) >= count and read[count - len(tail) : count - 1] == tail[:-1]:
            return count - 1  # the last line has grown
        return _behind(tail, read)


def _behind(tail: list[str], lines: list[str]) -> int:
    """Where lines go on behind the last of `tail`, whose beginning they may lack; 0 if they have
    nothing of it."""
    for size in sorted({min(len(tail), n) for n in (_TAIL, 50, 10, 3)}, reverse=True):
        for end in range(len(lines), size - 1, -1):
            if lines[end - size : end] == tail[-size:]:
                return end
    most = min(len(tail), len(lines))
    return next((n for n in range(most, 0, -1) if lines[:n] == tail[-n:]), 0)


def arrive_late(ports: Ports, attempt: Attempt) -> bool:
    """Whether lines of the attempt can be read only seconds after they were written."""
    return capabilities_of(ports.platform(attempt.platform)).logs_late


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
