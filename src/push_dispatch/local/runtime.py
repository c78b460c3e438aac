"""The local runtime: what is deployed in AWS, in one tree of processes on 127.0.0.1.

    MiniStack (child)                table, stream, queues
    ├─ stream pump                   → handlers.dispatch
    ├─ wake-queue pump               → handlers.dispatch
    ├─ platform-queue pumps          → handlers.push      → processes, containers, the cloud
    ├─ what jobs report              → handlers.report
    ├─ processes' ends               → handlers.finish
    ├─ every few seconds             → handlers.sweep
    └─ schedules of deployments      → handlers.submit

The handlers are those that run in Lambda.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TextIO

import psutil

from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.adapters.telemetry import logger
from push_dispatch.bootstrap import CLIENT
from push_dispatch.core.errors import Refused
from push_dispatch.engine.recount import put_right, recount
from push_dispatch.handlers import dispatch, finish, push, report, submit, sweep
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.local.connect import ports_of
from push_dispatch.local.discovery import Record, announce, locals_up, withdraw
from push_dispatch.local.loops import Loop
from push_dispatch.local.ministack import MiniStack, session
from push_dispatch.local.queues import QueuePump, create_queue
from push_dispatch.local.reports import ReportServer
from push_dispatch.local.stream import StreamPump
from push_dispatch.local.timers import ScheduleTimer
from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.process import Process, stop_all
from push_dispatch.platforms.registry import entries
from push_dispatch.ports import Ports
from push_dispatch.ports.reporter import Reporter

__all__ = ["LocalRuntime"]

log = logging.getLogger(__name__)

TABLE = "push-dispatch"
#: A minute in AWS, which has no shorter schedule; timeouts and silent runs are noticed by it.
SWEEP_SECONDS = 5
#: Threads that carry out pushes.
PUSHERS = 8


class LocalRuntime:
    """Start it, use its `ports` or let the CLI find it by its name, and stop it.

    The state is kept in `data_dir`, from one clean stop to the next start; processes that run
    outlive the runtime, and the next one takes them up again. `platforms` are used instead of
    those that are installed.
    """

    def __init__(
        self,
        name: str,
        data_dir: Path,
        environ: Mapping[str, str] | None = None,
        platforms: Mapping[str, Platform] | None = None,
    ) -> None:
        self.name = name
        self.log = data_dir / "runtime.log"
        self._data_dir = data_dir
        self._environ = os.environ if environ is None else environ
        self._platforms = platforms or {}
        self._ministack = MiniStack(data_dir / "ministack", data_dir / "ministack.log")
        self._loops: list[Loop] = []
        self._record: Record | None = None
        self._reports = ReportServer(lambda event: report.handle(self.ports, event))
        self._lock: int | None = None
        self._log_file: TextIO | None = None
        self._stream: StreamPump
        self.ports: Ports

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the emulator is still there."""
        return self._ministack.alive

    def start(self) -> Record:
        """Start everything. Raises Refused if the name or the directory is in use, Unavailable."""
        if any(record.name == self.name for record in locals_up()):
            raise Refused(f"a local runtime {self.name!r} is up already: choose another --name")
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._lock_directory()
        self._log_file = self.log.open("a", encoding="utf-8", buffering=1)
        _log_to(self._log_file)
        try:
            self._ministack.start()
            self._record = self._create()
            self.ports = self._with_platforms(ports_of(self._record, self._environ))
            self._reports.start()
            self._connect(self._record)
        except BaseException:
            self.stop()
            raise
        announce(self._record)
        return self._record

    def stop(self, *, processes: bool = False) -> None:
        """Stop in the order in which nothing gets lost. Runs that have started go on, unless their
        processes are to be stopped too."""
        if self._record is not None:
            withdraw(self._record)
        self._reports.stop()
        for loop in self._loops:
            loop.stop()
        for loop in self._loops:
            loop.join()
        if self._loops and self._ministack.alive:
            # The stream does not survive the emulator, so what it holds is handled first.
            with suppress(Exception):
                self._stream.drain()
        self._loops = []
        if processes and self._record is not None:
            stop_all(Path(self._record.process_dir))
        self._ministack.stop()
        if self._log_file is not None:
            _log_to(sys.stdout)
            self._log_file.close()
            self._log_file = None
        self._unlock_directory()

    # -- details ----------------------------------------------------------------------------------

    def _create(self) -> Record:
        sqs = self._client("sqs")
        create_table(self._client("dynamodb"), TABLE)
        platforms = create_queue(sqs, "push-dispatch-platforms", push.MAX_RECEIVES)
        return Record(
            name=self.name,
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            endpoint=self._ministack.endpoint,
            table=TABLE,
            wake_queue=create_queue(sqs, "push-dispatch-wake", push.MAX_RECEIVES),
            platform_queues={entry.platform: platforms for entry in entries()},
            process_dir=str((self._data_dir / "processes").absolute()),
            log=str(self.log.absolute()),
        )

    def _with_platforms(self, ports: Ports) -> Ports:
        def platform(name: str) -> Platform:
            return self._platforms.get(name) or ports.platform(name)

        # One key for as long as the directory lives: jobs outlive a restart of the runtime.
        key = _kept(self._data_dir / "report-key")
        reporter = Reporter(f"http://127.0.0.1:{self._reports.port}", lambda: key)
        return replace(ports, platform=platform, reporter=reporter)

    def _connect(self, record: Record) -> None:
        ports = self.ports
        table = self._client("dynamodb").describe_table(TableName=TABLE)["Table"]
        self._stream = StreamPump(
            self._client("dynamodbstreams"),
            table["LatestStreamArn"],
            lambda event: dispatch.handle(ports, event),
            STREAM_FILTERS,
            _log_failed,
        )
        self._stream.begin()
        _audit(ports)
        process = ports.platform("process")
        if isinstance(process, Process):
            process.watch(lambda event: finish.handle(ports, event))
        timer = ScheduleTimer(ports, lambda event: submit.handle(ports, event))
        self._add("stream", self._stream.step)
        self._add("wake", self._pump(record.wake_queue, lambda e: dispatch.handle(ports, e)))
        for number in range(PUSHERS):
            pump = self._pump(record.platform_queues["process"], lambda e: push.handle(ports, e))
            self._add(f"push-{number}", pump)
        self._add("sweep", lambda: _swept(ports))
        self._add("schedules", timer.step)

    def _add(self, name: str, step: Callable[[], float]) -> None:
        loop = Loop(name, step)
        self._loops.append(loop)
        loop.start()

    def _pump(
        self, url: str, handler: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> Callable[[], float]:
        return QueuePump(self._client("sqs"), url, handler).step

    def _client(self, service: Any) -> Any:
        return session().client(service, config=CLIENT, endpoint_url=self._ministack.endpoint)

    def _lock_directory(self) -> None:
        """Two runtimes on one directory would overwrite each other's state."""
        import fcntl  # noqa: PLC0415 - exists on POSIX only, as does this runtime

        self._lock = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._unlock_directory()
            raise Refused(f"another local runtime uses {self._data_dir}") from None

    def _unlock_directory(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _kept(file: Path) -> str:
    """A random text that is the same the next time."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32))
    return file.read_text()


def _audit(ports: Ports) -> None:
    """What changed between the last drain of the stream and the stop: see decision 0008."""
    for name in ports.store.pool_names():
        if pool := ports.store.pool(name):
            put_right(ports, recount(ports, pool, every_run=True, settled_seconds=0))


def _swept(ports: Ports) -> float:
    sweep.handle(ports)
    return SWEEP_SECONDS


def _log_failed(records: list[dict[str, Any]]) -> None:
    """The on-failure destination: `doctor --repair` finds what these records would have told."""
    for record in records:
        log.error("stream record given up: %s", record["dynamodb"].get("Keys"))


def _log_to(file: TextIO) -> None:
    """The handlers' JSON goes to a file: the terminal belongs to people."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(file)
