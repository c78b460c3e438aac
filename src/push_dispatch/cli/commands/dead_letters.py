"""`push-dispatch dead-letters`: inspect dead-lettered messages, and redrive them."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from push_dispatch.cli.backend import Backend, backend
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import dim, print_json, say
from push_dispatch.core.errors import Invalid

if TYPE_CHECKING:
    from push_dispatch.adapters.sqlite.database import Database
    from push_dispatch.ops.dead_letters import Given, Letter, Redriven

__all__ = ["app"]

_BODY = 120

app = App(name="dead-letters")


@app.command
def ls(*, common: Common = Common()) -> None:
    """List the queues of dead letters, and that of requests that were refused."""
    from push_dispatch.cli.tables import show_table

    found = _opened(common).queues()
    if common.json:
        print_json([_view(given) for given in found])
        return
    show_table(
        ("QUEUE", "MESSAGES", "OF"),
        [(g.queue.name, str(g.queue.waiting), _of(g)) for g in found],
        nothing="Nothing of this system has a queue for what it gives up.",
    )


@app.command
def inspect(
    queue: str,
    /,
    *,
    most: Annotated[
        int, Parameter(converter=whole, name="--most", metavar="N", help="At most ten.")
    ] = 10,
    common: Common = Common(),
) -> None:
    """Show some of the messages of a queue, named in full or by a part; they stay there."""
    from push_dispatch.cli.tables import show_table
    from push_dispatch.ops.dead_letters import queue_named

    if not 1 <= most <= 10:
        raise Invalid(f"--most {most} is not valid: from 1 to 10")
    opened = _opened(common)
    letters = opened.show(queue_named(opened.queues(), queue), most)
    if common.json:
        print_json([_letter_view(letter) for letter in letters])
        return
    show_table(
        ("FROM", "WHY", "MESSAGE"),
        [(_from(letter), letter.reason or "-", _shortened(letter.body)) for letter in letters],
        nothing="It is empty.",
    )


@app.command
def redrive(
    queue: str | None = None,
    /,
    *,
    common: Common = Common(),
) -> int:
    """Send dead letters where they came from: all of them, or those of one queue. Changes of the
    table are read from its stream, for 24 hours, and handed to the function that failed.

    Refused requests are sent again only if their queue is named: correct first what was wrong.
    It is always safe: messages are idempotent, and what is out of date does nothing. What cannot
    be sent stays where it is, and the exit code is 1.
    """
    from push_dispatch.ops.dead_letters import queue_named

    opened = _opened(common)
    if queue is None:
        wanted = [given for given in opened.queues() if not given.refused]
    else:
        wanted = [queue_named(opened.queues(), queue)]
    done = [opened.redrive(given) for given in wanted]
    if common.json:
        print_json([{"queue": d.queue, "sent": d.sent, "kept": d.kept} for d in done])
    else:
        for redriven in done:
            _tell(redriven)
    return 1 if any(redriven.kept for redriven in done) else 0


@dataclass(frozen=True, slots=True)
class _Opened:
    """The dead letters of the chosen backend."""

    queues: Callable[[], list[Given]]
    show: Callable[[Given, int], list[Letter]]
    redrive: Callable[[Given], Redriven]


def _opened(common: Common) -> _Opened:
    chosen = backend(common)
    return _in_aws(chosen) if chosen.database is None else _in_file(chosen.database)


def _in_file(database: Database) -> _Opened:
    from push_dispatch.adapters.sqlite.queues import Queues
    from push_dispatch.bootstrap import now
    from push_dispatch.ops import embedded

    queues = Queues(database, now)
    return _Opened(
        lambda: embedded.dead_letters(queues),
        lambda given, most: embedded.show(queues, given, most),
        lambda given: embedded.redrive(queues, given),
    )


def _in_aws(chosen: Backend) -> _Opened:
    from push_dispatch.ops import dead_letters as letters
    from push_dispatch.ops.account import Account
    from push_dispatch.ops.system import System

    if chosen.local is None:
        account = Account(chosen.session)
        system = account.system(chosen.table)
    else:
        account = Account(chosen.session, chosen.local.endpoint)
        urls = (chosen.local.wake_queue, *chosen.local.platform_queues.values())
        system = System(queues=account.queues(urls))
    return _Opened(
        lambda: letters.given_up(system),
        lambda given, most: letters.show(account, given, most),
        lambda given: letters.redrive(account, system, given, lambda: _recount(chosen)),
    )


def _recount(chosen: Backend) -> None:
    """What `doctor --repair` does."""
    from push_dispatch.control.known import pools_of
    from push_dispatch.engine.recount import put_right, recount

    for pool, _ in pools_of(chosen.ports):
        put_right(chosen.ports, recount(chosen.ports, pool, every_run=True))


def _tell(redriven: Redriven) -> None:
    if not redriven.sent and not redriven.kept:
        dim(f"{redriven.queue}: empty")
    for where, number in redriven.sent.items():
        say(f"{redriven.queue}: {number} to {where}")
    for why, number in redriven.kept.items():
        say(f"{redriven.queue}: {number} stay: {why}")


def _of(given: Given) -> str:
    refused = "refused, " if given.refused else ""
    return refused + ", ".join(given.sources)


def _from(letter: Letter) -> str:
    if letter.origin:
        return letter.origin.rpartition(":")[2]
    return "the table's stream" if letter.note else "-"


def _shortened(body: str) -> str:
    line = " ".join(body.split())
    return line if len(line) <= _BODY else f"{line[: _BODY - 1]}…"


def _view(given: Given) -> dict[str, Any]:
    return {
        "queue": given.queue.name,
        "messages": given.queue.waiting,
        "of": list(given.sources),
        "refused": given.refused,
    }


def _letter_view(letter: Letter) -> dict[str, Any]:
    try:
        body = json_module.loads(letter.body)
    except ValueError:
        body = letter.body
    return {
        "id": letter.id,
        "from": letter.origin.rpartition(":")[2] or None,
        "reason": letter.reason or None,
        "body": body,
    }
