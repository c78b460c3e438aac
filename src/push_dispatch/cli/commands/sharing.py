"""`push-dispatch pool set-capacity`, `set-ageing`, `set-named-limit`: how do runs share a pool?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.commands.pools import tell
from push_dispatch.cli.options import Common, whole
from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.model import Backfill

if TYPE_CHECKING:
    from push_dispatch.core.model import Pool

__all__ = [
    "clear_named_limit",
    "set_ageing",
    "set_capacity",
    "set_max_waiting",
    "set_named_limit",
]


def set_capacity(
    name: str,
    /,
    *units: Annotated[str, Parameter(metavar="UNIT=AMOUNT", help="Such as vcpu=64 or gpu=4.")],
    weight: Annotated[
        list[str] | None,
        Parameter(
            metavar="UNIT=WEIGHT",
            negative=(),
            help="What a run takes of a unit: a number, or such as '{{ variables.licences }}'. "
            "Otherwise its job configuration says so, or it takes none.",
        ),
    ] = None,
    backfill: Annotated[
        Backfill | None,
        Parameter(help="Who may start while a run waits for capacity; none, unless given."),
    ] = None,
    common: Common = Common(),
) -> None:
    """Set how much its runs may take at once of each unit; without any, everything."""
    from push_dispatch.control.sharing import sharing_of

    given = {
        "capacity": dict(_pair(unit) for unit in units),
        "weights": dict(_pair(each) for each in weight or ()),
        "backfill": backfill or Backfill.NONE,
    }
    fields = sharing_of(given, f"pool {name!r}")
    done = f"Capacity of pool {name}: {', '.join(units) or 'no limit'}."
    _change(name, lambda pool: replace(pool, **fields), done, common)


def set_ageing(
    name: str,
    step: Annotated[str, Parameter(metavar="DURATION", help="Such as 10m; `off` is strict.")],
    /,
    *,
    common: Common = Common(),
) -> None:
    """Let runs of a lower queue go first once they have waited that much longer for each queue
    that goes before their own."""
    from push_dispatch.cli.times import duration

    seconds = None if step == "off" else duration(step, "the step")
    how = "strictly" if seconds is None else f"aged by {step}"
    done = f"Pool {name} serves its queues {how}."
    _change(name, lambda pool: replace(pool, ageing_seconds=seconds), done, common)


def set_named_limit(
    name: str,
    limit_name: str,
    /,
    *,
    key: Annotated[
        str,
        Parameter(help="Whose runs count together, such as '{{ parameters.tenant }}'."),
    ] = "",
    limit: Annotated[
        int | None,
        Parameter(
            converter=whole, name=("--limit", "-l"), metavar="N", help="Runs of a key at once."
        ),
    ] = None,
    rate: Annotated[
        str | None, Parameter(metavar="N/DURATION", help="Starts of a key per period: 100/1h.")
    ] = None,
    max_waiting: Annotated[
        int | None,
        Parameter(converter=whole, metavar="N", help="Runs of a key that may wait."),
    ] = None,
    common: Common = Common(),
) -> None:
    """Add or replace a limit that all queues and deployments of the pool share."""
    from push_dispatch.cli.times import rate_of
    from push_dispatch.core.model import NamedLimit

    starts = None if rate is None else rate_of(rate)
    given = NamedLimit(limit_name, key, limit, starts, max_waiting)

    def change(pool: Pool) -> Pool:
        known = {each.name: each for each in pool.limits} | {limit_name: given}
        return replace(pool, limits=tuple(known.values()))

    _change(name, change, f"Set limit {limit_name} of pool {name}.", common)


def clear_named_limit(name: str, limit_name: str, /, *, common: Common = Common()) -> None:
    """Remove a limit by name."""

    def change(pool: Pool) -> Pool:
        kept = tuple(each for each in pool.limits if each.name != limit_name)
        if len(kept) == len(pool.limits):
            names = ", ".join(each.name for each in pool.limits) or "none"
            raise NotFound(f"pool {name!r} has no limit {limit_name!r}; it has: {names}")
        return replace(pool, limits=kept)

    _change(name, change, f"Removed limit {limit_name} of pool {name}.", common)


def set_max_waiting(
    name: str,
    most: Annotated[str, Parameter(metavar="N", help="Such as 100; `off` refuses none.")],
    /,
    *,
    queue: Annotated[str, Parameter(help="Runs of this queue count together.")] = "",
    per_key: Annotated[
        bool, Parameter(negative=(), help="Runs with the same concurrency key count together.")
    ] = False,
    common: Common = Common(),
) -> None:
    """Set how many runs may wait for their first start, of a queue or of each concurrency key; a
    submission beyond it is refused. Cancels nothing."""
    from push_dispatch.control.known import queue_named

    if bool(queue) == per_key:
        raise Invalid("name what counts together: --queue NAME or --per-key")
    if most != "off" and not re.fullmatch("[0-9]{1,9}", most):
        raise Invalid(f"{most!r} is not an integer of at least 0, nor off")
    number = None if most == "off" else int(most)

    def change(pool: Pool) -> Pool:
        if per_key:
            return replace(pool, key_max_waiting=number)
        changed = replace(queue_named(pool, queue), max_waiting=number)
        queues = tuple(changed if each.name == queue else each for each in pool.queues)
        return replace(pool, queues=queues)

    what = "each concurrency key" if per_key else f"queue {queue}"
    how = "Any number of" if number is None else f"At most {number}"
    _change(name, change, f"{how} runs of {what} may wait in pool {name}.", common)


def _change(name: str, change: Callable[[Pool], Pool], done: str, common: Common) -> None:
    from push_dispatch.control.pools import change_pool

    ports = connect(common)
    tell(ports, change_pool(ports, name, change), done, common)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise Invalid(f"{text!r} is not NAME=VALUE, such as vcpu=64")
    return name, value
