"""Who holds the slots of a pool, and what did it start lately?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["DELETED", "Holder", "Keys", "Ledger", "Slot", "Starts", "Weights"]

#: Of a ledger, instead of the version of its pool's configuration: the pool was deleted. A pool
#: that is not there for other reasons, such as a restore that has not come to it, has none.
DELETED = -1

_EMPTY: Mapping[str, Any] = MappingProxyType({})

#: Times, each with the number of runs that started then.
Starts = tuple[tuple[int, int], ...]

#: The named limits that a run falls under, each with its key, in the order of names.
Keys = tuple[tuple[str, str], ...]
#: What a run takes of its pool's capacity: units, each with an amount in thousandths, in the
#: order of names.
Weights = tuple[tuple[str, int], ...]


class Slot(NamedTuple):
    """Names one holder: the run and the attempt that the slot was given to."""

    run: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Holder:
    """One slot of a pool that is held."""

    #: The run's uuid.
    run: str
    attempt: int
    queue: str
    #: When it was admitted.
    since: int
    concurrency_key: str = ""
    deployment: str = ""
    keys: Keys = ()
    weights: Weights = ()
    #: By when it will have ended for certain, where that is counted on; None is never.
    until: int | None = None

    @property
    def slot(self) -> Slot:
        """What a release names."""
        return Slot(self.run, self.attempt)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Who holds the slots of a pool: a set, not a counter, so that adding and removing are
    idempotent and nothing can drift."""

    pool: str
    #: 0 if the pool has no ledger yet; every write moves it by one.
    version: int = 0
    holders: tuple[Holder, ...] = ()
    #: Recent starts by scope (`""` is the pool, else a queue) where a rate is set: times, oldest
    #: first, each with the number of runs that started then.
    starts: Mapping[str, Starts] = field(default_factory=lambda: _EMPTY)
    #: No admission may be decided under an older version of the configuration than this: that of
    #: the last finished change, or of the last admission; DELETED since the pool was deleted.
    configuration: int = 0
    #: When the bucket of the pool's platform rate is full again: see `core.rates`.
    paced: int = 0

    def of_deleted_pool(self) -> Ledger:
        """What stays of it when the pool is deleted: the version, which the next pool of that name
        goes on from, and the fact."""
        return Ledger(self.pool, version=self.version + 1, configuration=DELETED)

    def after_change(self, configuration: int) -> Ledger:
        """What a change of the configuration to that version makes of it: what was decided under
        the old one is void."""
        newest = max(self.configuration, configuration)
        return replace(self, version=self.version + 1, configuration=newest)

    def without(self, ended: Collection[Slot]) -> Ledger:
        """This ledger after the given attempts have ended.

        A later attempt of the same run keeps its slot: late and repeated news of an earlier end
        must not take it away. The same object if nothing changes.
        """
        last = _last_attempts(ended)
        kept = tuple(h for h in self.holders if h.attempt > last.get(h.run, -1))
        return self if len(kept) == len(self.holders) else replace(self, holders=kept)


def _last_attempts(slots: Collection[Slot]) -> dict[str, int]:
    last: dict[str, int] = {}
    for run, attempt in slots:
        last[run] = max(attempt, last.get(run, -1))
    return last
