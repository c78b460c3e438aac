"""Where does a local runtime keep its state for those who use AWS's own tools? In an emulator.

The table, its stream and the queues are MiniStack's, in memory; a clean stop writes them to the
directory, and anything else loses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.bootstrap import client_config
from push_dispatch.engine.recount import put_right, recount
from push_dispatch.handlers import push
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.local.backing import Bridging, Handler, Work
from push_dispatch.local.connect import emulated_ports
from push_dispatch.local.filters import ENDED_FILTERS
from push_dispatch.local.ministack import MiniStack, session
from push_dispatch.local.queues import QueuePump, create_queue
from push_dispatch.local.shards import StreamPump
from push_dispatch.local.signals import Signal
from push_dispatch.local.stream import Deliveries, Delivery, log_failed
from push_dispatch.platforms.registry import entries
from push_dispatch.ports import Ports

__all__ = ["Emulated"]

TABLE = "push-dispatch"
#: Threads that carry out pushes.
_PUSHERS = 8


class Emulated:
    """MiniStack, as a child of this process."""

    def __init__(self, folder: Path) -> None:
        self._ministack = MiniStack(folder / "ministack", folder / "ministack.log")
        self._where: dict[str, Any] = {}
        self._stream: StreamPump | None = None

    @property
    def alive(self) -> bool:
        return self._ministack.alive

    def start(self) -> Mapping[str, Any]:
        self._ministack.start()
        sqs = self._client("sqs")
        create_table(self._client("dynamodb"), TABLE)
        platforms = create_queue(sqs, "push-dispatch-platforms", push.MAX_RECEIVES)
        self._where = {
            "endpoint": self._ministack.endpoint,
            "key": self._ministack.key,
            "table": TABLE,
            "wake_queue": create_queue(sqs, "push-dispatch-wake", push.MAX_RECEIVES),
            "platform_queues": {
                **{entry.platform: platforms for entry in entries()},
                "prefect": create_queue(sqs, "push-dispatch-prefect", push.MAX_RECEIVES),
            },
        }
        return self._where

    def ports(self, environ: Mapping[str, str]) -> Ports:
        return emulated_ports(environ, **self._where)

    def deployments(self) -> Signal | None:
        return None

    def work(
        self, dispatch: Handler, push_: Handler, bridge: Bridging, ended: Handler | None
    ) -> list[Work]:
        table = self._client("dynamodb").describe_table(TableName=TABLE)["Table"]
        traced = [Delivery(ended, ENDED_FILTERS, log_failed)] if ended else []
        deliveries = Deliveries(
            Delivery(dispatch, STREAM_FILTERS, log_failed),
            Delivery(bridge.watch, bridge.filters, log_failed),
            *traced,
        )
        arn = table["LatestStreamArn"]
        self._stream = StreamPump(self._client("dynamodbstreams"), arn, deliveries)
        self._stream.begin()
        platforms = self._where["platform_queues"]["process"]
        pushers = [Work(f"push-{n}", self._pump(platforms, push_)) for n in range(_PUSHERS)]
        wakes = self._pump(self._where["wake_queue"], dispatch)
        claims = self._pump(self._where["platform_queues"]["prefect"], bridge.claim)
        return [
            Work("stream", self._stream.step),
            Work("wake", wakes),
            *pushers,
            Work("claim", claims),
        ]

    def recover(self, ports: Ports) -> str:
        """What changed between the last drain of the stream and the stop: see decision 0008."""
        for name in ports.store.pool_names():
            if pool := ports.store.pool(name):
                put_right(ports, recount(ports, pool, every_run=True, settled_seconds=0))
        return ""  # What it had in memory is lost with it.

    def drain(self) -> None:
        if self._stream is not None and self._ministack.alive:
            # The stream does not survive the emulator, so what it holds is handled first.
            with suppress(Exception):
                self._stream.drain()

    def stop(self) -> None:
        self._ministack.stop()

    def _pump(self, url: str, handler: Handler) -> Callable[[], float]:
        return QueuePump(self._client("sqs"), url, handler).step

    def _client(self, service: Any) -> Any:
        return session(self._ministack.key).client(
            service, config=client_config(), endpoint_url=self._ministack.endpoint
        )
