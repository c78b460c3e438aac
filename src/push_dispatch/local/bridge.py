"""What the prefect function does in AWS: attached pools of a local runtime.

One thread claims what is admitted, another one ticks each minute, when the server hints, and when
somebody attaches a pool. Between two ticks it wakes dispatch at the millisecond at which a run that
was read ahead is due, and tells the server of starts and ends.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Lock
from typing import Any

from push_dispatch.control.prefect.attachment import Bridge, attachments, note
from push_dispatch.control.prefect.settle import settle, worth_settling
from push_dispatch.control.prefect.tick import TICK_SECONDS, Ticked, tick
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.model import Run
from push_dispatch.handlers import prefect
from push_dispatch.handlers.stream import changes_of
from push_dispatch.local.signals import Signal
from push_dispatch.ports.messages import Wake

__all__ = ["PATH", "LocalBridge"]

log = logging.getLogger(__name__)

#: How soon a pool that somebody has attached is noticed.
_NOTICE_SECONDS = 2.0
#: Between two ticks that hints ask for: a thousand ad-hoc runs are a thousand hints.
_HINT_SECONDS = 0.2
#: The path of the door, on the server that jobs report to.
PATH = "/prefect"


class LocalBridge:
    """The loops' steps; `signal` wakes the ticking one."""

    def __init__(self, bridge: Bridge, port: int) -> None:
        """`port` is that of the door for hints, on loopback."""
        self.bridge = bridge
        self.signal = Signal()
        self._door = f"http://127.0.0.1:{port}{PATH}"
        self._lock = Lock()
        self._changed: dict[str, Run] = {}
        self._hinted = False
        self._known: set[str] = set()
        self._next_tick = 0
        self._last_tick = 0
        self._ahead: dict[int, set[str]] = {}

    # -- what others tell ------------------------------------------------------------------

    def hint(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request at the door."""
        some = prefect.trusted(self.bridge, event)
        if not some:
            answer = "this is not one of our servers"
            return {"statusCode": 401, "headers": {}, "body": answer}
        if not prefect.followed(self.bridge, some, event):
            self._hinted = True
            self.signal.poke()
        return {"statusCode": 200, "headers": {}, "body": "ok"}

    def watch(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Take changes of runs; they are told by the next step, not while others wait."""
        found = [
            c.after for _, c in changes_of(event["Records"]) if not isinstance(c, Exception) and c
        ]
        wanted = {run.id: run for run in found if run is not None and worth_settling(run)}
        if wanted:
            with self._lock:
                self._changed |= wanted
            self.signal.poke()
        return {"batchItemFailures": []}

    # -- steps -----------------------------------------------------------------------------

    def step(self) -> float:
        """Do what is due; return the seconds until something else is."""
        self._settle()
        pools = set(self.bridge.ports.store.attachments())
        if not pools:
            self._known = pools
            return _NOTICE_SECONDS
        now = self.bridge.ports.clock()
        new = pools - self._known
        hint = self._hinted and now >= self._last_tick + _HINT_SECONDS * 1000
        if new or hint or now >= self._next_tick:
            self._hinted = False
            self._known = pools
            self._last_tick = now
            self._next_tick = now + TICK_SECONDS * 1000
            self._register()
            self._note(tick(self.bridge, mirror_now=bool(new)))
        self._wake_due()
        return self._pause()

    def _note(self, ticked: Ticked) -> None:
        if ticked.submitted or ticked.reported or ticked.withdrawn or ticked.failed:
            log.info("ticked: %s", ticked)
        for pool, times in ticked.ahead.items():
            for due in times:
                self._ahead.setdefault(due, set()).add(pool)
        if ticked.again_seconds is not None:
            again = self.bridge.ports.clock() + int(ticked.again_seconds * 1000)
            self._next_tick = min(self._next_tick, again)

    def _settle(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, {}
        if changed:
            settle(self.bridge, changed.values())

    def _wake_due(self) -> None:
        """At the very time: queues' delays are whole seconds, and a run is to start within one."""
        now = self.bridge.ports.clock()
        due = [at for at in self._ahead if at <= now]
        pools = {pool for at in due for pool in self._ahead.pop(at)}
        if pools:
            self.bridge.ports.messages.wake([Wake(pool) for pool in sorted(pools)])

    def _pause(self) -> float:
        now = self.bridge.ports.clock()
        times = [self._next_tick, *self._ahead]
        if self._hinted:
            times.append(int(self._last_tick + _HINT_SECONDS * 1000))
        return max(0.001, min(_NOTICE_SECONDS, (min(times) - now) / 1000))

    def _register(self) -> None:
        """Tell servers where our door is: it is another port after each start."""
        for attachment in attachments(self.bridge.ports):
            if attachment.hint_url != "local":
                continue
            if attachment.hinted_url == self._door:
                continue
            try:
                server = self.bridge.server(attachment.address)
                found = server.pools([attachment.pool_id]).get(attachment.pool_id)
                if found is None:
                    continue
                automation, block = server.add_hint(found, self._door, attachment.hint_secret)
            except PushDispatchError as error:
                log.warning("pool %s has no hints: %s", attachment.pool, error.message)
                continue
            made = {"automation": automation, "block": block, "hinted_url": self._door}
            note(self.bridge.ports, attachment.pool, **made)
