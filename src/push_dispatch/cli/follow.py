"""What has become of these runs? Waiting for their end, and reading what they write."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from push_dispatch.cli.failures import Failure, print_failure
from push_dispatch.cli.output import MANNER, aside, dim, json_text, print_json, say, stderr_console
from push_dispatch.cli.times import span
from push_dispatch.core.errors import NotFound, Refused, Throttled, Unavailable, Uncertain
from push_dispatch.core.model import Attempt, Run, RunState, parse_run_id
from push_dispatch.core.reasons import Reason, describe
from push_dispatch.insight.listing import run_named
from push_dispatch.insight.logs import Unseen, arrive_late, attempt_of, lines_of
from push_dispatch.insight.why import reasons_of
from push_dispatch.ports import Ports

if TYPE_CHECKING:
    from rich.status import Status

__all__ = ["CodeFrom", "print_logs", "wait_for"]

CodeFrom = Literal["state", "run"]

#: Between two looks, in seconds; doubled with every quiet look up to the second.
_SOONEST, _LATEST = 0.1, 2.0
#: For how many seconds after an attempt its last lines may come, where they come late.
_LATE_LINES = 8
#: Errors of a platform that says something else the next time.
_FOR_NOW = (Throttled, Unavailable, Uncertain)
#: Runs that did not complete and are named one by one.
_SHOWN = 10


# -- waiting ----------------------------------------------------------------------------------


def wait_for(
    ports: Ports,
    ids: Sequence[str],
    seconds: int | None,
    *,
    as_json: bool,
    code_from: CodeFrom = "state",
) -> int:
    """Wait until all runs have ended, and tell how. 0 if all of them are COMPLETED, else 1; or
    `code_from` the run: the exit code of its last attempt, 1 if a run that did not complete has
    none.

    Raises NotFound (`run_not_found`), Refused (`timeout`) after `seconds`.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    runs = _read(ports, ids)
    with _interruptible(ids), _progress(len(runs)) as progress:
        pauses = _pauses()
        while not all(run.state.ended for run in runs.values()):
            if deadline is not None and time.monotonic() >= deadline:
                raise _late(ports, runs, seconds)
            progress.show(ports, runs)
            left = _LATEST if deadline is None else max(0.0, deadline - time.monotonic())
            time.sleep(min(next(pauses), left))
            now = _read(ports, ids)
            if now != runs:
                runs, pauses = now, _pauses()
        progress.show(ports, runs)
    code = _tell(runs, as_json=as_json)
    return max(_code_of(run) for run in runs.values()) if code_from == "run" else code


@contextmanager
def _interruptible(ids: Sequence[str]) -> Iterator[None]:
    """Say at Ctrl-C that this was only the waiting."""
    try:
        yield
    except KeyboardInterrupt:
        one = len(ids) == 1
        what = f"run {ids[0]} goes" if one else f"the {len(ids)} runs go"
        named = " ".join(ids) if len(ids) <= _SHOWN else "ID…"
        print_failure(
            Failure(
                f"interrupted: only the waiting has ended, {what} on",
                "",
                130,
                remedy=f"To stop {'it' if one else 'them'}: push-dispatch run cancel {named}",
            )
        )
        sys.exit(130)


def _code_of(run: Run) -> int:
    """What a shell would say of it."""
    if run.state is RunState.COMPLETED:
        return 0
    code = run.attempts[-1].exit_code if run.attempts else None
    # Killed by a signal: as shells have it. A number above 255 would be cut to another one.
    return 1 if not code else 128 - code if code < 0 else min(code, 255)


def _read(ports: Ports, ids: Sequence[str]) -> dict[str, Run]:
    """The runs by id, in the order of `ids`."""
    by_pool: dict[str, list[str]] = {}
    for run_id in ids:
        pool, uuid = parse_run_id(run_id)
        by_pool.setdefault(pool, []).append(uuid)
    found: dict[str, Run] = {}
    for pool, uuids in by_pool.items():
        found |= {run.id: run for run in ports.store.runs(pool, uuids).values()}
    for run_id in ids:
        if run_id not in found:
            raise NotFound(f"there is no run {run_id}", reason=Reason.RUN_NOT_FOUND)
    return {run_id: found[run_id] for run_id in ids}


def _pauses() -> Iterator[float]:
    pause = _SOONEST
    while True:
        yield pause
        pause = min(pause * 1.5, _LATEST)


def _late(ports: Ports, runs: Mapping[str, Run], seconds: int | None) -> Refused:
    open_ones = [run for run in runs.values() if not run.state.ended]
    first = open_ones[0]
    why = reasons_of(ports, first.pool, [first]).get(first.uuid)
    others = f", and {len(open_ones) - 1} others have not ended" if len(open_ones) > 1 else ""
    return Refused(
        f"run {first.id} is {_state(first, why)} after {span(seconds or 0)}{others}",
        reason=Reason.TIMEOUT,
    )


def _tell(runs: Mapping[str, Run], *, as_json: bool) -> int:
    from push_dispatch.insight.views import run_view

    if as_json:
        views = [run_view(run, run.reason) for run in runs.values()]
        print_json(views[0] if len(views) == 1 else views)
    bad = [run for run in runs.values() if run.state is not RunState.COMPLETED]
    for run in bad[:_SHOWN]:
        more = f": {run.message}" if run.message else ""
        remedy = describe(run.reason or "").remedy.replace(" ID", f" {run.id}")
        print_failure(
            Failure(f"run {run.id} is {run.state.value}{more}", run.reason or "", remedy=remedy)
        )
    if len(bad) > _SHOWN:
        dim(f"… and {len(bad) - _SHOWN} more that did not complete")
    return 1 if bad else 0


def _state(run: Run, reason: str | None) -> str:
    return f"{run.state.value} ({reason})" if reason else run.state.value


class _Progress(Protocol):
    def show(self, ports: Ports, runs: Mapping[str, Run]) -> None: ...


@contextmanager
def _progress(count: int) -> Iterator[_Progress]:
    """A spinner on a terminal; elsewhere a line whenever something has changed."""
    if MANNER.json or not sys.stderr.isatty():
        yield _Lines(count)
        return
    with stderr_console().status("") as status:
        yield _Spinner(status, count)


class _Lines:
    def __init__(self, count: int) -> None:
        self._count = count
        self._last = ""

    def show(self, ports: Ports, runs: Mapping[str, Run]) -> None:
        text = _summary(ports, runs)
        if text != self._last:
            aside(text)
        self._last = text


class _Spinner:
    def __init__(self, status: Status, count: int) -> None:
        self._status = status
        self._count = count
        self._started = time.monotonic()

    def show(self, ports: Ports, runs: Mapping[str, Run]) -> None:
        waited = span(time.monotonic() - self._started)
        self._status.update(f"{_summary(ports, runs)} [dim]{waited}[/]")


def _summary(ports: Ports, runs: Mapping[str, Run]) -> str:
    if len(runs) == 1:
        (run,) = runs.values()
        return f"{run.id} is {_state(run, reasons_of(ports, run.pool, [run]).get(run.uuid))}"
    counts: dict[str, int] = {}
    for run in runs.values():
        counts[run.state.value] = counts.get(run.state.value, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


# -- logs -------------------------------------------------------------------------------------


def print_logs(
    ports: Ports, run_id: str, *, attempt: int | None, follow: bool, as_json: bool
) -> None:
    """Print what an attempt has written: the last one, or all that are still to come.

    Raises NotFound, Invalid (no such attempt), Refused (`logs_unavailable`).
    """
    run = run_named(ports, run_id)
    reader = _Reader(ports, as_json=as_json)
    chosen = attempt_of(run, attempt)
    if not follow:
        if chosen is None:
            dim("the run has not started yet")
        else:
            reader.read(run, chosen, over=True)
        return
    first = chosen.number if chosen else 1
    wanted = range(first, sys.maxsize) if attempt is None else range(attempt, attempt + 1)
    with _interruptible([run.id]):
        _follow(ports, reader, run, wanted)


def _follow(ports: Ports, reader: _Reader, run: Run, wanted: range) -> None:
    """Print the lines of these attempts until the run has ended, or the only one of them has."""
    pauses = _pauses()
    while not _over(run, wanted):
        reader.read_live([each for each in run.attempts if each.number in wanted], run)
        time.sleep(next(pauses))
        run = run_named(ports, run.id)
    # Read after the run, so that what was written before its end is not missed.
    left = [each for each in run.attempts if each.number in wanted]
    until = max((each.ended_at or 0 for each in left), default=0) + _LATE_LINES * 1000
    late = any(arrive_late(ports, each) for each in left)
    while late and ports.clock() < until:
        reader.read_live(left, run)
        time.sleep(min(_LATEST, max(0.1, (until - ports.clock()) / 1000)))
    for each in left:
        reader.read(run, each, over=True)


def _over(run: Run, wanted: range) -> bool:
    """Whether no line of these attempts will be written any more."""
    return run.state.ended or (
        len(wanted) == 1 and any(a.number in wanted and a.ended_at for a in run.attempts)
    )


class _Reader:
    """Prints the lines of attempts, each once."""

    def __init__(self, ports: Ports, *, as_json: bool) -> None:
        self._ports = ports
        self._as_json = as_json
        self._logs: dict[int, Unseen] = defaultdict(Unseen)
        self._trouble = ""

    def read(self, run: Run, attempt: Attempt, *, over: bool) -> None:
        """Print what is new. `over`: nothing more will come. Raises Refused."""
        lines = lines_of(self._ports, run, attempt)
        for line in self._logs[attempt.number].of(lines, over=over):
            self._print(attempt.number, line)
        sys.stdout.flush()

    def read_live(self, attempts: Iterable[Attempt], run: Run) -> None:
        """The same, of a run that goes on: a platform that does not answer will later on. Raises
        Refused if it never will."""
        try:
            for attempt in attempts:
                self.read(run, attempt, over=attempt.ended_at is not None)
        except Refused as error:
            if not isinstance(error.__cause__, _FOR_NOW):
                raise
            if error.message != self._trouble:
                aside(f"the log cannot be read for now: {error.message}")
            self._trouble = error.message

    def _print(self, attempt: int, line: str) -> None:
        if self._as_json:
            say(json_text({"attempt": attempt, "line": line}))
        else:
            say(line)
