"""How much of a pool's capacity does a run take, and is there as much?

Amounts are whole thousandths of a unit, so that sums are exact: 0.25 vCPU are 250.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal, InvalidOperation

from push_dispatch.core.errors import Invalid
from push_dispatch.core.expressions import Facts, check_expression, text_of
from push_dispatch.core.model import Backfill, Weights
from push_dispatch.core.reasons import Reason

__all__ = [
    "GRACE_SECONDS",
    "NEVER",
    "amount",
    "check_capacity",
    "check_weights",
    "free_from",
    "shown",
    "weights_of",
]

#: What a run may take beyond its timeout to start and to stop, where its end is counted on.
GRACE_SECONDS = 120

_UNIT = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,62}\Z")
_MOST_UNITS = 20
#: A thousand million, in thousandths.
_LARGEST = 10**12
#: Later than any time.
NEVER = 1 << 62


def amount(value: object, where: str) -> int:
    """A number, or text that is one, in thousandths, rounded up. Raises Invalid."""
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        number = Decimal(str(value).strip()) * 1000
        if not (number.is_finite() and 0 <= number <= _LARGEST):
            raise InvalidOperation
    except InvalidOperation:
        raise Invalid(
            f"{where}: {str(value)[:40]!r} is not a number from 0 to 1,000,000,000",
            reason=Reason.INVALID_LIMIT,
        ) from None
    return int(number.to_integral_value(ROUND_CEILING))


def shown(thousandths: int) -> str:
    """An amount as people write it: 250 is `0.25`."""
    return f"{Decimal(thousandths) / 1000:f}"


def check_capacity(
    capacity: Mapping[str, int], weights: Mapping[str, str], backfill: str, where: str
) -> None:
    """Raise Invalid (`invalid_limit`) if a pool cannot have this capacity."""
    if len(capacity) > _MOST_UNITS:
        raise Invalid(f"{where}: {len(capacity)} units: at most 20", reason=Reason.INVALID_LIMIT)
    for unit, total in capacity.items():
        if not _UNIT.match(unit):
            raise Invalid(
                f"{where}: unit {unit[:40]!r} is not valid: 1 to 63 letters, digits and _ . : / -, "
                "starting with a letter",
                reason=Reason.INVALID_NAME,
            )
        if type(total) is not int or not 0 <= total <= _LARGEST:
            raise Invalid(f"{where}: {unit} {total!r} is not valid", reason=Reason.INVALID_LIMIT)
    for unit, expression in weights.items():
        if unit not in capacity:
            raise Invalid(
                f"{where}: the weight {unit!r} names no unit of its capacity"
                + (f", which has {', '.join(capacity)}" if capacity else ", which has none"),
                reason=Reason.INVALID_LIMIT,
            )
        check_expression(expression, f"{where}, weight {unit}")
        if "{{" not in expression:
            amount(expression, f"{where}, weight {unit}")
    if backfill not in set(Backfill):
        raise Invalid(f"{where}: backfill {backfill!r}: none or conservative")


def weights_of(
    capacity: Mapping[str, int],
    weights: Mapping[str, str],
    derived: Mapping[str, float],
    facts: Facts,
) -> Weights:
    """What a run takes of each unit of a capacity: what the pool's expression for it says of the
    run; without one, or if the run has no such value, what its job configuration says; else
    nothing. Raises Invalid if an expression gives no number."""
    found = []
    for unit in capacity:
        text = text_of(weights[unit], facts, f"weight {unit}") if unit in weights else None
        value = derived.get(unit, 0) if text is None else text
        if taken := amount(value, f"weight {unit}"):
            found.append((unit, taken))
    return tuple(sorted(found))


def check_weights(capacity: Mapping[str, int], weights: Weights, pool: str) -> None:
    """Raise Invalid (`weight_too_large`) if a run could never start."""
    for unit, taken in weights:
        total = capacity.get(unit)
        if total is not None and taken > total:
            raise Invalid(
                f"the run takes {shown(taken)} {unit}, and pool {pool!r} has {shown(total)} in "
                "all: it could never start",
                reason=Reason.WEIGHT_TOO_LARGE,
            )


def free_from(
    capacity: Mapping[str, int], holders: Iterable[tuple[Weights, int | None]], needed: Weights
) -> int:
    """From when on `needed` is certain to be free, if everybody ends by the time that stands
    beside their weights: None is never. A time in the past if it is free already."""
    ends: list[tuple[int, Weights]] = []
    free = dict(capacity)
    for weights, end in holders:
        for unit, taken in weights:
            free[unit] = free.get(unit, 0) - taken
        if end is not None:
            ends.append((end, weights))
    if _fits(free, needed):
        return 0
    for end, weights in sorted(ends):
        for unit, taken in weights:
            free[unit] += taken
        if _fits(free, needed):
            return end
    return NEVER


def _fits(free: Mapping[str, int], needed: Sequence[tuple[str, int]]) -> bool:
    return all(free.get(unit, taken) >= taken for unit, taken in needed)
