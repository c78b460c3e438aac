"""A Prefect server and a system of ours that is attached to it, on one clock that the test moves.

The bridge talks to the server over a real wire; our own side is in memory, with the real handlers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from push_dispatch.adapters.prefect.rest import Rest
from push_dispatch.adapters.prefect.server import PrefectServer, connect
from push_dispatch.control.prefect.attach import Attached, Wanted, attach
from push_dispatch.control.prefect.attachment import GATEWAY, Bridge, attachments
from push_dispatch.control.prefect.settle import settle
from push_dispatch.control.prefect.tick import Ticked, tick
from push_dispatch.core.model import Run, RunState
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import Hints, hints_of
from push_dispatch.engine.sweep import sweep
from push_dispatch.handlers import prefect, push
from push_dispatch.platforms.base import Job, Platform
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Message, Wake, encode
from push_dispatch.ports.prefect import Address
from tests.fakes.memory.store import MemoryStore
from tests.fakes.memory_platform import Container, MemoryPlatform
from tests.fakes.prefect import FakePrefect

__all__ = ["START", "Bridged", "Clock"]

START = 1_800_000_000_000


@dataclass
class Clock:
    """Epoch milliseconds."""

    now: int = START

    def __call__(self) -> int:
        return self.now


@dataclass(eq=False)
class _Mail:
    at: int
    to: str
    message: Message | Wake


@dataclass
class _Mailbox:
    clock: Clock
    waiting: list[_Mail] = field(default_factory=list)

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        self._add(platform, messages, delay_seconds)

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        self._add("wake", wakes, delay_seconds)

    def _add(self, to: str, messages: Iterable[Message | Wake], delay: int) -> None:
        at = self.clock.now + max(0, delay) * 1000
        self.waiting += [_Mail(at, to, message) for message in messages]

    def due(self) -> list[_Mail]:
        """Take what may arrive now."""
        found = [mail for mail in self.waiting if mail.at <= self.clock.now]
        self.waiting = [mail for mail in self.waiting if mail.at > self.clock.now]
        return found


class _Secrets:
    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.arns: dict[str, str] = {}

    def read(self, name: str) -> str:
        return self.values[name]

    def arn(self, name: str) -> str:
        return self.arns.get(name, "")

    def where(self, name: str) -> str:
        return f"the test's secret {name}"


def _watched(run: Run) -> bool:
    """As the local runtime's filter has it."""
    return run.state is RunState.PENDING or run.state.ended


class _Platform(MemoryPlatform):
    """Remembers containers that were cleaned up."""

    def __init__(self) -> None:
        super().__init__()
        self.ever: dict[str, Container] = {}

    def push(self, job: Job) -> str:
        handle = super().push(job)
        self.ever.setdefault(handle, self.containers[handle])
        return handle


class Bridged:
    """One system; several may share a server."""

    def __init__(
        self, server: FakePrefect, clock: Clock, secrets: dict[str, str] | None = None
    ) -> None:
        self.server, self.clock = server, clock
        self.store = MemoryStore()
        self.platform = _Platform()
        self.platform.clock = clock
        self.mail = _Mailbox(clock)
        self.secrets = _Secrets(secrets or {})
        self._served: dict[str, Platform] = {}
        #: The bridge is stopped: nothing of it runs.
        self.stopped = False
        self._ids = 1 << 100
        self.ports = Ports(
            store=self.store,
            messages=self.mail,
            clock=clock,
            new_id=self._new_id,
            platform=lambda name: self._served.get(name, self.platform),
            secrets=self.secrets,
        )
        self.bridge = Bridge(self.ports, self._connect)
        self.servers: list[PrefectServer] = []

    def _connect(self, address: Address) -> PrefectServer:
        opened = connect(address, self.ports.secrets)
        rest: Rest = opened._rest
        rest.pause = lambda _seconds: None
        self.servers.append(opened)
        return opened

    def attach(self, name: str, **more: Any) -> Attached:
        address = more.pop("address", None) or Address(self.server.api)
        return attach(self.bridge, Wanted(name, address, **more))

    def serve(self, name: str, platform: Platform) -> None:
        """Have a platform be another one than that in memory."""
        self._served[name] = platform

    # -- time ------------------------------------------------------------------------------

    def tick(self, **more: Any) -> Ticked:
        return tick(self.bridge, **more)

    def hint(self, run: str, body: str | None = None) -> bool:
        """Whether the hint that this run was scheduled is followed; it could be an old one."""
        event = {"body": self.server.hint(run) if body is None else body}
        found = attachments(self.ports)
        return prefect.followed(self.bridge, found, event)

    def deliver(self) -> None:
        """Everything that may arrive now, until nothing is left."""
        for _ in range(200):
            changes = list(self.store.changes)
            self.store.changes.clear()
            events = list(self.platform.events)
            self.platform.events.clear()
            mails = self.mail.due()
            if not changes and not events and not mails:
                return
            for pool, hints in hints_of(changes).items():
                dispatch(self.ports, pool, hints)
            if not self.stopped:
                settle(self.bridge, [c.after for c in changes if c.after and _watched(c.after)])
            for seen in events:
                finish(self.ports, seen)
            self._carry(mails)
        raise AssertionError("it never comes to rest")

    def _carry(self, mails: Sequence[_Mail]) -> None:
        for mail in mails:
            if isinstance(mail.message, Wake):
                wake = mail.message
                dispatch(self.ports, wake.pool, Hints(ended=set(wake.ended), due=set(wake.due)))
                continue
            if mail.to == GATEWAY and self.stopped:
                self.mail.waiting.append(_Mail(self.clock.now + 60_000, mail.to, mail.message))
                continue
            record = {
                "messageId": "m",
                "body": encode(mail.message),
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            handle = self._claims if mail.to == GATEWAY else self._pushes
            if handle({"Records": [record]})["batchItemFailures"]:
                self.mail.waiting.append(_Mail(self.clock.now + 60_000, mail.to, mail.message))

    def _claims(self, event: dict[str, Any]) -> dict[str, Any]:
        return prefect.handle(self.bridge, event)

    def _pushes(self, event: dict[str, Any]) -> dict[str, Any]:
        return push.handle(self.ports, event)

    def minute(self, seconds: int = 60) -> None:
        """A minute as it goes: deliveries each second, a sweep and a tick at its end."""
        for _ in range(seconds):
            self.clock.now += 1000
            self.deliver()
        sweep(self.ports)
        if not self.stopped:
            self.tick()
        self.deliver()

    # -- what the test looks at ------------------------------------------------------------

    def containers(self) -> list[Container]:
        return list(self.platform.ever.values())

    def container(self, flow_run: str) -> Container:
        """The newest container of a flow run."""
        found = [c for c in self.containers() if flow_run_of(c) == flow_run]
        assert found, f"{flow_run} has no container"
        return found[-1]

    def started(self, flow_run: str) -> int:
        """How often a flow run was started."""
        return sum(flow_run_of(c) == flow_run for c in self.containers())

    def runs(self, pool: str) -> list[Run]:
        return list(self.store.list_runs(pool))

    def execute(self, flow_run: str, state: str = "COMPLETED", code: int = 0) -> None:
        """What `prefect flow-run execute` does: Running, and the end."""
        container = self.container(flow_run)
        self.server.write(flow_run, {"type": "RUNNING"})
        self.platform.begin(container)
        self.deliver()
        self.clock.now += 1000
        if state:
            self.server.write(flow_run, {"type": state})
        self.platform.end(container, code)
        self.deliver()

    def requests(self) -> int:
        return sum(server.requests for server in self.servers)

    def _new_id(self) -> str:
        self._ids += 1
        return str(UUID(int=(self.clock.now << 80) + (7 << 76) + (2 << 62) + self._ids % (1 << 62)))


def flow_run_of(container: Container) -> str:
    return str(container.job.configuration["env"].get("PREFECT__FLOW_RUN_ID", ""))
