"""Which runs do people mean by --queue, --state, --tag and the like?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from push_dispatch.cli.times import duration, moment
from push_dispatch.core.model import Run, RunState
from push_dispatch.insight.selection import Filter, page_of
from push_dispatch.ports import Ports

__all__ = ["Selected", "fitting_runs"]

#: Runs of a pool that are read at most to find those that fit.
_READ = 20_000


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Selected:
    """The runs that fit everything that is given."""

    pool: Annotated[
        str | None, Parameter(alias="-p", help="Of this pool only; by default of all.")
    ] = None
    queue: Annotated[str | None, Parameter(alias="-q", help="Of this queue.")] = None
    state: Annotated[tuple[RunState, ...], Parameter(help="In this state. May be repeated.")] = ()
    tag: Annotated[str | None, Parameter(help="With this tag.")] = None
    name: Annotated[str | None, Parameter(help="Of this name.")] = None
    deployment: Annotated[str | None, Parameter(alias="-d", help="Of this deployment.")] = None
    since: Annotated[
        str | None,
        Parameter(metavar="TIME", help="Submitted then or later: 2h (ago), or ISO 8601."),
    ] = None
    until: Annotated[
        str | None, Parameter(metavar="TIME", help="Submitted before then, written likewise.")
    ] = None

    @property
    def everything(self) -> bool:
        """Whether nothing is given."""
        return self == Selected()

    def filter(self, now: int) -> Filter:
        """The runs that fit; `now` in epoch milliseconds. Raises Invalid (`invalid_time`)."""
        return Filter(
            states=frozenset(self.state),
            queue=self.queue,
            deployment=self.deployment,
            tag=self.tag,
            name=self.name,
            submitted_from=_moment(self.since, "--since", now),
            submitted_before=_moment(self.until, "--until", now),
        )


def fitting_runs(ports: Ports, selected: Selected) -> Iterator[Run | None]:
    """The runs that fit, one pool after the other, read as the iterator goes. None says that of a
    pool more runs exist than are read. Raises Invalid, NotFound (`pool_not_found`)."""
    wanted = selected.filter(ports.clock())
    names = ports.store.pool_names() if selected.pool is None else [selected.pool]
    for pool in names:
        after = ""
        for _ in range(_READ // 1000):
            page = page_of(ports, pool, wanted, 1000, after)
            yield from page.runs
            if page.next is None:
                break
            after = page.next
        else:
            yield None


def _moment(text: str | None, option: str, now: int) -> int | None:
    if text is None:
        return None
    if "-" in text:
        return moment(text, option)
    return now - duration(text, option) * 1000
