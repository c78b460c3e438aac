"""Where does a local runtime keep its state? In one SQLite file, which survives `kill -9`."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from push_dispatch.adapters.sqlite.database import DEPLOYMENTS, FEED, Database
from push_dispatch.adapters.sqlite.feed import Feed
from push_dispatch.adapters.sqlite.queues import BRIDGE, PLATFORMS, WAKES, Queues
from push_dispatch.adapters.sqlite.store import SqliteStore
from push_dispatch.bootstrap import embedded_ports, now
from push_dispatch.handlers import push
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.local.backing import Bridging, Handler, Work
from push_dispatch.local.filters import ENDED_FILTERS, wanted
from push_dispatch.local.queues import MessagePump
from push_dispatch.local.signals import PokeServer, Signal
from push_dispatch.local.stream import Deliveries, Delivery, FeedPump, log_failed
from push_dispatch.ports import Ports

__all__ = ["Embedded"]

log = logging.getLogger(__name__)

#: Threads that carry out pushes.
_PUSHERS = 8
#: Between two looks for what has expired.
_EXPIRE_SECONDS = 600


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class Embedded:
    """The file `state.db` of a directory, and pokes from whoever writes to it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.db"
        #: There while a runtime is up: an unclean stop leaves it behind.
        self._running = folder / "running"
        self._signals: dict[str, Signal] = defaultdict(Signal)
        self._database: Database
        self._pokes: PokeServer | None = None
        self._feed: FeedPump

    @property
    def alive(self) -> bool:
        return True

    def start(self) -> Mapping[str, Any]:
        self._database = Database(self._file, self._poke, wanted)
        self._pokes = PokeServer(self._poke)
        return {"state": str(self._file.absolute()), "pokes": self._pokes.port}

    def ports(self, environ: Mapping[str, str]) -> Ports:
        return embedded_ports(self._database, environ)

    def deployments(self) -> Signal | None:
        return self._signals[DEPLOYMENTS]

    def work(
        self, dispatch: Handler, push_: Handler, bridge: Bridging, ended: Handler | None
    ) -> list[Work]:
        traced = [Delivery(ended, ENDED_FILTERS, log_failed)] if ended else []
        deliveries = Deliveries(
            Delivery(dispatch, STREAM_FILTERS, log_failed),
            Delivery(bridge.watch, bridge.filters, log_failed),
            *traced,
        )
        self._feed = FeedPump(Feed(self._database), deliveries)
        pushes = self._pump(PLATFORMS, push_)
        pushers = [Work(f"push-{n}", pushes, self._signals[PLATFORMS]) for n in range(_PUSHERS)]
        return [
            Work("stream", self._feed.step, self._signals[FEED]),
            Work("wake", self._pump(WAKES, dispatch), self._signals[WAKES]),
            *pushers,
            Work("claim", self._pump(BRIDGE, bridge.claim, at_once=50), self._signals[BRIDGE]),
            Work("expire", self._expire),
        ]

    def recover(self, ports: Ports) -> str:
        """Nothing is lost at a kill: changes and messages are in the file. Only what somebody was
        handling is hidden, and nobody is any more."""
        del ports
        unclean = self._running.exists()
        received = Queues(self._database, now).release()
        changes = Feed(self._database).waiting()
        self._running.touch(mode=0o600)
        if not unclean:
            return ""
        return (
            "the last runtime was not stopped but ended: going on with "
            f"{_counted(changes, 'change')} and {_counted(received, 'message')} in the middle"
        )

    def drain(self) -> None:
        self._feed.drain()

    def stop(self) -> None:
        if self._pokes is not None:
            self._pokes.stop()
            self._pokes = None
            self._database.close()
            self._running.unlink(missing_ok=True)

    def _pump(self, queue: str, handler: Handler, **options: int) -> Any:
        return MessagePump(
            Queues(self._database, now),
            queue,
            handler,
            clock=now,
            receives=push.MAX_RECEIVES,
            another=self._signals[queue].poke,
            **options,
        ).step

    def _poke(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._signals:
                self._signals[name].poke()

    def _expire(self) -> float:
        """What the table's time to live does in AWS."""
        if gone := SqliteStore(self._database, now).expire():
            log.info("%s items have expired", gone)
        return _EXPIRE_SECONDS
