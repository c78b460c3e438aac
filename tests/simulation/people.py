"""What people do: submit, cancel, change the pool."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from push_dispatch.control.pools import change_pool, change_queue, delete_queue
from push_dispatch.core.errors import Conflict, NotFound, Refused, Unavailable
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit_many
from tests.simulation.plan import POOL, Act, Submit

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

__all__ = ["People"]


class People:
    """Of one story."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        #: The runs that they were told of, and the keys of the requests that a queue took.
        self.accepted: list[str] = []
        self.requested: list[str] = []

    def do(self, act: Callable[[], object], name: str = "person") -> None:
        """In a process of their own, which sees to errors itself."""
        sim = self._sim

        def alone() -> None:
            with suppress(Unavailable, Conflict, NotFound, Refused):
                act()

        sim.timeline.start(sim.timeline.task(name, alone))

    def submit(self, number: int, part: Submit) -> None:
        """Directly, or by an event; the command names the part of the plan."""
        fields = dict(part.fields)
        after = fields.pop("at_after", None)
        labels = [f"r{number}.{copy}" for copy in range(part.count)]
        if part.by_queue:
            for label in labels:
                self._send(label, fields, after)
            return
        at = None if after is None else self._sim.clock() + after
        requests = [
            Request(POOL, name=label, variables={"command": label}, at=at, **fields)
            for label in labels
        ]

        def act() -> None:
            made = submit_many(self._sim.ports, requests)
            self.accepted += [each.run.uuid for each in made]

        self.do(act, "submitter")

    def _send(self, label: str, fields: Mapping[str, Any], after: int | None) -> None:
        document = {k: v for k, v in fields.items() if k not in ("deployment", "collision")}
        document |= {"pool": POOL, "name": label, "job_variables": {"command": label}}
        if after is not None:
            document["in_seconds"] = after // 1000
        key = document.pop("idempotency_key", "") or label
        self.requested.append(f"event:{key}")
        body = json.dumps({"id": key, "detail": document})
        self._sim.put_body(self._sim.request_queue, body, 0)

    def act(self, part: Act) -> None:
        """Cancel a run, or change the pool."""
        ports, value = self._sim.ports, part.value
        acts: dict[str, Callable[[], object]] = {
            "cancel": lambda: self._cancel(value),
            "limit": lambda: change_pool(ports, POOL, lambda p: replace(p, limit=value)),
            "pause": lambda: change_pool(ports, POOL, lambda p: replace(p, paused=value)),
            "queue_limit": lambda: change_queue(
                ports, POOL, value[0], lambda q: replace(q, limit=value[1])
            ),
            "delete_queue": lambda: delete_queue(ports, POOL, value),
        }
        self.do(acts[part.what])

    def open_up(self, limit: int | None) -> None:
        """Hold nothing back any more."""

        def act() -> None:
            ports = self._sim.ports
            pool = change_pool(ports, POOL, lambda p: replace(p, paused=False, limit=limit or None))
            for queue in pool.queues:
                if queue.limit == 0 or queue.paused:
                    change_queue(
                        ports, POOL, queue.name, lambda q: replace(q, paused=False, limit=None)
                    )

        self.do(act)

    def _cancel(self, number: int) -> None:
        under_way = [run for run in self._sim.runs() if not run.state.ended]
        if under_way:
            cancel(self._sim.ports, under_way[number % len(under_way)].id)
