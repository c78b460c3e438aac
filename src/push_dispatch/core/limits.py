"""Which named limits does a run fall under, and under which key?

A named limit counts the slots, or the starts, of all runs of its pool that have the same key, in
whatever queue and of whatever deployment. A run may fall under several; it starts if there is room
under each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from push_dispatch.core.errors import Invalid
from push_dispatch.core.expressions import Facts, check_expression, text_of
from push_dispatch.core.model import Keys, NamedLimit, check_limit, check_name, check_rate
from push_dispatch.core.reasons import Reason
from push_dispatch.core.waiting import check_max_waiting

__all__ = ["check_limits", "keys_of"]

#: Limits of a pool; each one a run falls under is carried by the run, its place and its slot.
_MOST = 20


def check_limits(limits: Sequence[NamedLimit], where: str) -> None:
    """Raise Invalid (`invalid_limit`, `invalid_name`) if a pool cannot have these limits."""
    if len(limits) > _MOST:
        raise Invalid(
            f"{where}: {len(limits)} limits: at most {_MOST}", reason=Reason.INVALID_LIMIT
        )
    names = [limit.name for limit in limits]
    for limit in limits:
        what = f"{where}: limit {limit.name!r}"
        check_name(limit.name, "limit")
        if names.count(limit.name) > 1:
            raise Invalid(f"{what} is there twice", reason=Reason.INVALID_LIMIT)
        check_limit(limit.limit, what)
        check_rate(limit.rate, what)
        check_max_waiting(limit.max_waiting, what)
        if limit.limit is None and limit.rate is None and limit.max_waiting is None:
            raise Invalid(
                f"{what} limits nothing: give it a limit, a rate, max_waiting, or several of them",
                reason=Reason.INVALID_LIMIT,
            )
        check_expression(limit.key, f"{what}, key")


def keys_of(limits: Sequence[NamedLimit], facts: Facts) -> Keys:
    """The limits that a run falls under, each with its key, in the order of names. A limit without
    a key is one for all runs; a run without a value of the key does not fall under that limit.

    Raises Invalid if a value cannot be a key.
    """
    return tuple(sorted(_keys(limits, facts)))


def _keys(limits: Sequence[NamedLimit], facts: Facts) -> Iterator[tuple[str, str]]:
    for limit in limits:
        key = text_of(limit.key, facts, f"limit {limit.name!r}") if limit.key else ""
        if key is not None:
            yield limit.name, key
