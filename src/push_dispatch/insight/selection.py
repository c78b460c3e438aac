"""Which runs of a pool fit a filter? Read page by page, so that no request reads them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from push_dispatch.control.known import pool_named
from push_dispatch.core.model import Run, RunState
from push_dispatch.ports import Ports

__all__ = ["Filter", "Page", "latest", "page_of"]

#: Runs that one page reads at most, whether they fit or not.
_READ = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Takes the runs that fit everything that is given. Times in epoch milliseconds."""

    states: frozenset[RunState] = frozenset()
    queue: str | None = None
    deployment: str | None = None
    tag: str | None = None
    name: str | None = None
    concurrency_key: str | None = None
    #: Submitted then or later, and before then.
    submitted_from: int | None = None
    submitted_before: int | None = None
    #: Ids of runs; empty is any.
    ids: frozenset[str] = frozenset()

    def takes(self, run: Run) -> bool:
        """Whether the run fits."""
        return (
            (not self.states or run.state in self.states)
            and (not self.ids or run.id in self.ids)
            and (self.tag is None or self.tag in run.tags)
            and self._equals(run)
            and (self.submitted_from is None or run.submitted_at >= self.submitted_from)
            and (self.submitted_before is None or run.submitted_at < self.submitted_before)
        )

    def _equals(self, run: Run) -> bool:
        return all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.queue, run.queue),
                (self.deployment, run.deployment),
                (self.name, run.name),
                (self.concurrency_key, run.concurrency_key),
            )
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the runs that fit. It may be empty although another one follows."""

    runs: list[Run]
    #: Where the next page begins; None is the end.
    next: str | None


def page_of(ports: Ports, pool: str, wanted: Filter, limit: int, after: str = "") -> Page:
    """Read the runs of a pool behind `after`, in a stable order: first those without an
    idempotency key, newest first; then those with one, whose ids are not in the order of time.

    Reads at most a thousand runs. Raises NotFound (`pool_not_found`).
    """
    name = pool_named(ports, pool).name
    found: list[Run] = []
    last = after
    for read, run in enumerate(_behind(ports, name, after)):
        if read >= _READ or len(found) >= limit:
            return Page(found, last)
        last = run.uuid
        if wanted.takes(run):
            found.append(run)
    return Page(found, None)


def latest(ports: Ports, pool: str, count: int) -> tuple[list[Run], bool]:
    """Read the runs that were submitted last, newest first, and whether these are all. Those with
    an idempotency key are found among as many of them as are read."""
    newest = _newest_id(ports)
    # Two reads, neither of which depends on how many runs there are.
    plain = list(islice(ports.store.list_runs(pool, until=newest), count + 1))
    keyed = list(islice(ports.store.list_runs(pool, after=newest), count + 1))
    every = len(plain) <= count and len(keyed) <= count
    runs = sorted(plain + keyed, key=lambda run: (run.submitted_at, run.order), reverse=True)
    return runs[: 2 * count], every


def _behind(ports: Ports, pool: str, after: str) -> Iterator[Run]:
    newest = _newest_id(ports)
    if after <= newest:
        until = after or newest
        yield from (r for r in ports.store.list_runs(pool, until=until) if r.uuid != after)
        after = ""
    listed = ports.store.list_runs(pool, after=newest, until=after)
    yield from (run for run in listed if run.uuid != after)


def _newest_id(ports: Ports) -> str:
    """An id that no run without an idempotency key has reached yet: they begin with the time."""
    text = f"{ports.clock() + 60_000:012x}"
    return f"{text[:8]}-{text[8:]}-~"
