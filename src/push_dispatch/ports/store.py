"""What must be remembered, and which promises does the store make?

`Store` is a protocol of verbs. `adapters.dynamodb` keeps the promises with conditional writes,
`adapters.sqlite` with transactions, and the tests' `MemoryStore` in a dictionary. One contract
suite runs on all three.

Every method may raise Unavailable: the backend is throttling, out of reach, or did not answer in
time. Then nothing is known of whether a write took effect; all writes are idempotent, so doing
the same again is right. It may raise Misconfigured if there is no such backend, or no right to use
it: doing the same again is right once a person has corrected that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from push_dispatch.core.circuit import Circuit
from push_dispatch.core.events import Claim
from push_dispatch.core.model import Ledger, Pool, Ready, Run, RunState
from push_dispatch.core.polling import Turn

__all__ = ["LOG_DAYS", "Change", "Heads", "Overview", "Store"]

#: How long a log is kept that its platform has deleted.
LOG_DAYS = 30


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change, as the table's stream tells it: a hint, late, twice or out of order."""

    pool: str
    #: The run before and after; both None if the pool's configuration changed.
    before: Run | None = None
    after: Run | None = None


class Heads(NamedTuple):
    """The first places of one queue's line, in order, those that are not due yet among them."""

    places: Sequence[Ready]
    #: Whether there may be others behind them.
    more: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """A pool in one read. Each part is as it was at some moment of that read, and those moments may
    differ: see `engine.snapshot.overview`."""

    pool: Pool | None
    ledger: Ledger
    #: By type, of those that know something.
    circuits: Mapping[str, Circuit] = field(default_factory=dict)
    #: By queue, of those whose line was read.
    heads: Mapping[str, Heads] = field(default_factory=dict)


class Store(Protocol):
    """The promises that the use cases rely on. All reads are strongly consistent."""

    # -- configuration ---------------------------------------------------------------------

    def create_pool(self, pool: Pool) -> None:
        """Add a pool. It shares no version with a pool that had this name before: whoever has
        slept since then loses. Raises Refused (`pool_exists`)."""
        ...

    def pool(self, name: str) -> Pool | None:
        """The pool's declared configuration, or None."""
        ...

    def pool_names(self) -> list[str]:
        """Every pool, in the order of names."""
        ...

    def unsettled_pools(self) -> list[str]:
        """The pools that time alone may change something about, in the order of names: those with
        a slot that is held, a place in line, or a run that no audit has seen. A store that cannot
        tell them cheaply names more; and each pool once an hour, for the runs that other programs
        may have put."""
        ...

    def settle(self, pool: str, *, held: bool) -> None:
        """Note, after a sweep of the pool, that it is settled, if it is; `held` says whether a slot
        was held. Until somebody leaves work in it the sweep need not come. Idempotent."""
        ...

    def save_pool(self, pool: Pool) -> Pool:
        """Replace the configuration if its version is still `pool.version`, and return it with the
        new one. When this returns no pass can commit an admission decided under the old one: the
        ledger's version has moved, and its `configuration` is not below the new version. Raises
        Conflict."""
        ...

    def delete_pool(self, pool: Pool) -> None:
        """Remove configuration and templates, and empty the ledger, if the version is still
        `pool.version`. The runs stay, and the ledger's version. Raises Conflict."""
        ...

    def put_template(self, pool: str, digest: str, template: Mapping[str, Any]) -> None:
        """Keep a base job template under the digest of its content. Templates never change, so a
        warm function may keep what it has read."""
        ...

    def template(self, pool: str, digest: str) -> Mapping[str, Any] | None:
        """The template with this digest, or None."""
        ...

    def put_deployment(self, name: str, document: Mapping[str, Any]) -> None:
        """Keep a deployment, replacing what had this name."""
        ...

    def deployment(self, name: str) -> Mapping[str, Any] | None:
        """The deployment of that name, or None."""
        ...

    def deployments(self) -> dict[str, Mapping[str, Any]]:
        """Every deployment by name."""
        ...

    def delete_deployment(self, name: str) -> None:
        """Forget a deployment. Idempotent."""
        ...

    def put_attachment(self, pool: str, document: Mapping[str, Any]) -> None:
        """Keep what a pool is attached to, replacing what was there."""
        ...

    def attachment(self, pool: str) -> Mapping[str, Any] | None:
        """What the pool is attached to, or None."""
        ...

    def attachments(self) -> dict[str, Mapping[str, Any]]:
        """Every attachment by the name of its pool."""
        ...

    def delete_attachment(self, pool: str) -> None:
        """Forget an attachment. Idempotent."""
        ...

    # -- runs ------------------------------------------------------------------------------

    def add_run(self, run: Run) -> Run:
        """Put a run that does not exist yet, and return what is stored: `run`, or the run that was
        there first under the same id. This insert is the run-scheduled event.
        Raises Invalid (`run_too_large`)."""
        ...

    def add_runs(self, runs: Sequence[Run]) -> list[Run]:
        """The same for many, in parallel; the result is in the order of `runs`."""
        ...

    def run(self, pool: str, uuid: str) -> Run | None:
        """The run, or None."""
        ...

    def runs(self, pool: str, uuids: Iterable[str]) -> dict[str, Run]:
        """The runs that exist, by uuid."""
        ...

    def save_run(self, run: Run) -> None:
        """Replace a run if its revision is still `run.rev - 1`. Saving the same twice is fine.
        Raises Conflict."""
        ...

    def claim_run(self, pool: str, uuid: str, claim: Claim, now: int) -> Run | None:
        """Apply a claim to a run that waits for its first attempt, as `advance` does, without
        reading it first: one write. Return the run as it is stored then, claimed or not; None if
        there is none. What is malformed in it may be claimed as well."""
        ...

    def mend_run(self, run: Run) -> None:
        """Replace the item of a run that was `unreadable` when it was read, if it still is and
        nobody has written it since. Raises Conflict."""
        ...

    def list_runs(
        self,
        pool: str,
        *,
        states: frozenset[RunState] = frozenset(),
        newest_first: bool = True,
        after: str = "",
        until: str = "",
    ) -> Iterator[Run]:
        """The pool's runs in the order of their ids, read as the iterator goes: those with an id
        greater than `after` and not greater than `until`, if they are given."""
        ...

    def take_attempt(self, pool: str, uuid: str, attempt: int, by: str) -> bool:
        """Whether the attempt is `by`'s: the first to ask has it, for `LOG_DAYS`."""
        ...

    def keep_log(self, pool: str, uuid: str, attempt: int, text: str) -> None:
        """Keep the end of an attempt's log for `LOG_DAYS`; what is there already stays."""
        ...

    def kept_log(self, pool: str, uuid: str, attempt: int) -> str | None:
        """What was kept, or None."""
        ...

    # -- places in line --------------------------------------------------------------------

    def enqueue(self, pool: str, entries: Sequence[Ready], now: int) -> None:
        """Put places in line, or those with a lane into that. Idempotent."""
        ...

    def line(
        self,
        pool: str,
        queue: str,
        limit: int,
        *,
        after: Ready | None = None,
        due: int | None = None,
        lane: str | None = None,
    ) -> list[Ready]:
        """At most `limit` places of a queue in order, behind `after`, not due later than `due`: of
        its line, or those that are parked in a lane; `""` is all its lanes, one after the other."""
        ...

    def lanes(self, pool: str, queue: str, after: str, limit: int) -> list[Ready]:
        """The first place of each of at most `limit` lanes of a queue, in the order of the lanes,
        behind the lane `after`."""
        ...

    def dequeue(self, pool: str, entries: Sequence[Ready]) -> None:
        """Remove places, each also from the lane that it is `also_in`. Idempotent."""
        ...

    def in_line(self, pool: str, entries: Sequence[Ready], *, lanes: bool = True) -> set[Ready]:
        """Return those of these places that are in line, or, with `lanes`, in a lane of theirs."""
        ...

    def supersede(self, pool: str, group: str, order: str, run: str) -> str:
        """Remember this run as the newest of its group, unless a newer one is known, by their
        order, and return the run that a newer one takes the place of: this one, or the one that was
        the newest before. Empty if there is none. Idempotent."""
        ...

    def lead(self, pool: str, group: str, order: str, run: str, after: str) -> str:
        """Remember this run as the one that leads its group, by its order, unless one leads whose
        order is not less than `after`; return the order of the one that leads. Atomic, and
        idempotent."""
        ...

    def newest(self, pool: str, group: str) -> str:
        """The order of the newest run of a group, or of the one that leads it; empty if none is
        known."""
        ...

    def ticks(self, pool: str, until: int, limit: int) -> list[Ready]:
        """Places of which time will change something by `until`, soonest first: due, or expired.
        Eventually consistent."""
        ...

    def ticked(self, pool: str, ready: Ready, at: int | None) -> None:
        """Set when the sweep next revisits this entry; None removes it from the index. No effect if
        the entry is gone."""
        ...

    # -- the sweep -------------------------------------------------------------------------

    def begin_sweep(self, now: int, until: int) -> str | None:
        """Take the sweep for oneself until `until`, in epoch milliseconds, and return the pool that
        it begins with (empty for the first one); None if another one has it."""
        ...

    def end_sweep(self, first: str) -> None:
        """Remember the pool that the next sweep begins with."""
        ...

    def audited(self, pool: str) -> str:
        """Return the id up to which the pool's runs were audited; empty if none was."""
        ...

    def save_audited(self, pool: str, uuid: str) -> None:
        """Remember it; the last writer wins."""
        ...

    # -- circuits ----------------------------------------------------------------------------

    def circuit(self, pool: str, type: str) -> Circuit:
        """What the last pushes of the pool to this type have come to."""
        ...

    def save_circuit(
        self, pool: str, type: str, circuit: Circuit, *, instead_of: Circuit | None = None
    ) -> bool:
        """Remember it; whoever saves last wins. With `instead_of` only if the platform's next call
        is still due when that says: False if somebody else has taken it."""
        ...

    # -- polls -----------------------------------------------------------------------------

    def poll_turn(self, pool: str, platform: str) -> Turn:
        """When the pool's attempts on a platform are polled next, and when they last were."""
        ...

    def save_poll_turn(self, pool: str, platform: str, turn: Turn, *, instead_of: Turn) -> bool:
        """Remember it if the next turn is still that of `instead_of`; False if somebody else has
        named another. Saving the same twice is fine."""
        ...

    # -- the ledger ------------------------------------------------------------------------

    def ledger(self, pool: str) -> Ledger:
        """Who holds the pool's slots; version 0 if nobody ever did."""
        ...

    def overview(self, pool: str) -> Overview:
        """Configuration, ledger, circuits and, as far as they are few, the places in line."""
        ...

    def commit(self, ledger: Ledger) -> None:
        """Replace the ledger if its version is still `ledger.version - 1`: the one write that
        releases and admits. Committing the same twice is fine. Raises Conflict."""
        ...
