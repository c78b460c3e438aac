"""What does a plan say of a pool's limits and capacity? In terms of the runs that hold slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from push_dispatch.core.model import Ledger, NamedLimit, Pool
from push_dispatch.core.units import shown

__all__ = ["limit_words", "sharing_changes", "waiting_words"]


def sharing_changes(now: Pool, then: Pool, ledger: Ledger) -> Iterator[str]:
    """What changes about the named limits and the capacity of a pool."""
    before = {limit.name: limit for limit in now.limits}
    after = {limit.name: limit for limit in then.limits}
    for name in before | after:
        if before.get(name) != after.get(name):
            yield from _limit_change(name, before.get(name), after.get(name), ledger)
    if now.key_max_waiting != then.key_max_waiting:
        yield f"{waiting_words(now.key_max_waiting, then.key_max_waiting)} of each concurrency key"
    taken = _taken(ledger)
    for unit in {**now.capacity, **then.capacity}:
        old, new = now.capacity.get(unit), then.capacity.get(unit)
        if old != new:
            yield _capacity_change(unit, old, new, taken[unit])


def limit_words(limit: NamedLimit) -> str:
    """A named limit in a few words."""
    facts = [f"for each {limit.key}" if limit.key else "for all runs"]
    if limit.limit is not None:
        facts.append(f"limit {limit.limit}")
    if limit.rate is not None:
        facts.append(f"rate {limit.rate.starts} starts in {limit.rate.period_seconds} s")
    if limit.max_waiting is not None:
        facts.append(f"max_waiting {limit.max_waiting}")
    return ", ".join(facts)


def waiting_words(old: int | None, new: int | None) -> str:
    """What a change of `max_waiting` means for runs."""
    shown_old = "none" if old is None else str(old)
    if new is None:
        return f"max_waiting {shown_old} → none: no submission is refused"
    which = "runs submitted from now on" if old is None else "runs that wait stay"
    return f"max_waiting {shown_old} → {new}: {which}; a submission beyond it is refused"


def _limit_change(
    name: str, old: NamedLimit | None, new: NamedLimit | None, ledger: Ledger
) -> Iterator[str]:
    shown_old = limit_words(old) if old else "none"
    change = f"limit `{name}`: {shown_old} → {limit_words(new) if new else 'none'}"
    if new is None:
        yield change
        return
    held = Counter(key for holder in ledger.holders for limit, key in holder.keys if limit == name)
    above = (
        sum(max(0, count - new.limit) for count in held.values()) if new.limit is not None else 0
    )
    if above:
        change += f": {above} runs finish above the limit, nothing is stopped"
    elif old is None or old.key != new.key:
        change += ": runs that start from now on; those under way do not count"
    yield change


def _capacity_change(unit: str, old: int | None, new: int | None, taken: int) -> str:
    before, after = ("none" if total is None else shown(total) for total in (old, new))
    change = f"capacity {unit} {before} → {after}"
    if new is not None and taken > new:
        return f"{change}: {shown(taken)} are taken, nothing is stopped"
    if old is None:
        return f"{change}: runs that start from now on; those under way take none of it"
    return change


def _taken(ledger: Ledger) -> Counter[str]:
    taken: Counter[str] = Counter()
    for holder in ledger.holders:
        taken.update(dict(holder.weights))
    return taken
