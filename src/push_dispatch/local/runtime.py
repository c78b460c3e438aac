"""The local runtime: what is deployed in AWS, in one tree of processes on 127.0.0.1.

    one SQLite file                  table, change feed, queues  (or MiniStack, a child process)
    ├─ change-feed pump              → handlers.dispatch
    ├─ wake-queue pump               → handlers.dispatch
    ├─ platform-queue pumps          → handlers.push      → processes, containers, the cloud
    ├─ what jobs report              → handlers.report
    ├─ HTTP API, with a token        → api
    ├─ processes' ends               → handlers.finish
    ├─ every few seconds             → handlers.sweep
    ├─ runs that have ended          → an OTLP collector, if there is one
    └─ schedules of deployments      → handlers.submit

The handlers are those that run in Lambda.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TextIO

import psutil

from push_dispatch.adapters.telemetry import logger
from push_dispatch.api.dashboard import page
from push_dispatch.api.gateway import reply_to
from push_dispatch.bootstrap import prefect_bridge
from push_dispatch.core.errors import Refused
from push_dispatch.core.polling import Pauses
from push_dispatch.handlers import dispatch, finish, prefect, push, report, submit, sweep
from push_dispatch.local.api_server import ApiServer
from push_dispatch.local.backing import Backing, Bridging, Handler
from push_dispatch.local.bridge import PATH, LocalBridge
from push_dispatch.local.connect import environ_of
from push_dispatch.local.discovery import (
    Record,
    announce,
    locals_up,
    make_writable,
    state_dir,
    withdraw,
)
from push_dispatch.local.embedded import Embedded
from push_dispatch.local.filters import WATCH_FILTERS
from push_dispatch.local.loops import Loop
from push_dispatch.local.naps import Naps
from push_dispatch.local.reports import ReportServer
from push_dispatch.local.tidy import Tidy
from push_dispatch.local.timers import POLLING_SECONDS, SIGNALLED_SECONDS, ScheduleTimer
from push_dispatch.local.traces import Traces, collector_of
from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.process import Process, stop_all
from push_dispatch.ports import Ports
from push_dispatch.ports.reporter import Reporter

__all__ = ["LocalRuntime"]

log = logging.getLogger(__name__)

#: A minute in AWS, which has no shorter schedule; timeouts and silent runs are noticed by it.
SWEEP_SECONDS = 5
#: A turn costs next to nothing here, and the sweep comes soon.
PAUSES = Pauses(first=2, longest=SWEEP_SECONDS)
#: Platforms whose attempts sleep when this machine does.
_OF_THIS_MACHINE = ("docker", "process")


class LocalRuntime:
    """Start it, use its `ports` or let the CLI find it by its name, and stop it.

    The state is kept in `data_dir`; processes that run outlive the runtime, however it ended, and
    the next one takes them up again. `platforms` are used instead of those that are installed.
    With `aws` table, stream and queues are an emulator's, for AWS's own tools.
    """

    def __init__(
        self,
        name: str,
        data_dir: Path,
        environ: Mapping[str, str] | None = None,
        platforms: Mapping[str, Platform] | None = None,
        *,
        aws: bool = False,
    ) -> None:
        self.name = name
        #: What an unclean stop had left; empty after a clean one.
        self.found = ""
        self.log = data_dir / "runtime.log"
        self._data_dir = data_dir
        self._environ = os.environ if environ is None else environ
        self._platforms = platforms or {}
        self._backing = _emulated(data_dir) if aws else Embedded(data_dir)
        self._loops: list[Loop] = []
        self._record: Record | None = None
        self._reports = ReportServer(self._answer)
        self._api: ApiServer | None = None
        self._hint: Handler | None = None
        self._traces: Traces | None = None
        self._lock: int | None = None
        self._log_file: TextIO | None = None
        self.ports: Ports

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether what keeps the state is still there."""
        return self._backing.alive

    def start(self) -> Record:
        """Start everything. Raises Refused if the name or the directory is in use, Invalid if a
        folder cannot be written, Unavailable. Nothing is left behind then."""
        make_writable(state_dir() / "local")
        if any(record.name == self.name for record in locals_up()):
            raise Refused(f"a local runtime {self.name!r} is up already: choose another --name")
        make_writable(self._data_dir)
        with suppress(OSError):  # somebody else's: then they say who may read it
            self._data_dir.chmod(0o700)
        self._lock_directory()
        self.log.touch(mode=0o600)
        self._log_file = self.log.open("a", encoding="utf-8", buffering=1)
        _log_to(self._log_file)
        try:
            # One token for as long as the directory lives, as with the key of reports.
            token = _kept(self._data_dir / "api-token")
            self._api = ApiServer(lambda request: reply_to(self.ports, request), token, pages=page)
            self._record = self._create(self._backing.start())
            environ = environ_of(self._record, self._environ)
            self.ports = self._with_platforms(self._backing.ports(environ))
            self.ports = self._with_traces(self.ports, environ)
            self._reports.start()
            self._connect(int(environ["PUSH_DISPATCH_RETENTION_DAYS"] or 0))
            self._api.start()
            announce(self._record)
        except BaseException:
            self.stop()
            raise
        return self._record

    def stop(self, *, processes: bool = False) -> None:
        """Stop in the order in which nothing gets lost. Runs that have started go on, unless their
        processes are to be stopped too."""
        if self._record is not None:
            withdraw(self._record)
        if self._api is not None:
            self._api.stop()
            self._api = None
        self._reports.stop()
        for loop in self._loops:
            loop.stop()
        for loop in self._loops:
            loop.join()
        if self._loops:
            self._backing.drain()
        self._loops = []
        if self._traces is not None:
            self._traces.close()
            self._traces = None
        if processes and self._record is not None:
            stop_all(Path(self._record.process_dir))
        self._backing.stop()
        if self._log_file is not None:
            _log_to(sys.stdout)
            self._log_file.close()
            self._log_file = None
        self._unlock_directory()

    def _answer(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The function URLs: what jobs report, and the hints of Prefect servers."""
        if self._hint is not None and event["rawPath"].startswith(PATH):
            return self._hint(event)
        return report.handle(self.ports, event)

    # -- details ----------------------------------------------------------------------------------

    def _create(self, where: Mapping[str, Any]) -> Record:
        return Record(
            name=self.name,
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            process_dir=str((self._data_dir / "processes").absolute()),
            log=str(self.log.absolute()),
            api=self._api.url if self._api else "",
            token=self._api.token if self._api else "",
            **where,
        )

    def _with_platforms(self, ports: Ports) -> Ports:
        def platform(name: str) -> Platform:
            return self._platforms.get(name) or ports.platform(name)

        # One key for as long as the directory lives: jobs outlive a restart of the runtime.
        key = _kept(self._data_dir / "report-key")
        reporter = Reporter(f"http://127.0.0.1:{self._reports.port}", lambda: key)
        self._naps = naps = Naps(self._data_dir / "naps.json", ports.clock)

        def slept(platform: str, since: int) -> int:
            return naps.since(since) if platform in _OF_THIS_MACHINE else 0

        return replace(
            ports,
            platform=platform,
            reporter=reporter,
            slept=slept,
            pauses=PAUSES,
            # What the clouds report to EventBridge arrives in AWS only.
            hears=lambda name: name == "process",
        )

    def _with_traces(self, ports: Ports, environ: Mapping[str, str]) -> Ports:
        collector = collector_of(environ)
        if collector is None:
            return replace(ports, traces=False)
        self._traces = Traces(collector)
        return replace(ports, traces=True, meter=collector.meter)

    def _connect(self, retention_days: int) -> None:
        ports = self.ports
        local_bridge = LocalBridge(prefect_bridge(ports), self._reports.port)
        self._hint = local_bridge.hint
        work = self._backing.work(
            lambda event: dispatch.handle(ports, event),
            lambda event: push.handle(ports, event),
            Bridging(
                lambda event: prefect.handle(local_bridge.bridge, event),
                local_bridge.watch,
                WATCH_FILTERS,
            ),
            self._traces.handle if self._traces else None,
        )
        self.found = self._backing.recover(ports)
        process = ports.platform("process")
        kept = process if isinstance(process, Process) else None
        if kept is not None:
            kept.watch(lambda event: finish.handle(ports, event))
            if self.found:
                self.found += f", and {kept.watched} jobs that run or have ended since"
        if self.found:
            log.warning("%s", self.found)
        logs = (self.log, self._data_dir / "ministack.log")
        tidy = Tidy(kept, logs, retention_days)
        changed = self._backing.deployments()
        longest = POLLING_SECONDS if changed is None else SIGNALLED_SECONDS
        timer = ScheduleTimer(ports, lambda event: submit.handle(ports, event), longest)
        loops = [Loop(each.name, each.step, each.signal) for each in work]
        self._loops = [
            *loops,
            Loop("sweep", self._sweep),
            Loop("tidy", tidy.step),
            Loop("schedules", timer.step, changed),
            Loop("prefect", local_bridge.step, local_bridge.signal),
        ]
        for loop in self._loops:
            loop.start()
        if self._traces is not None:
            self._traces.start()

    def _sweep(self) -> float:
        self._naps.measure()
        sweep.handle(self.ports)
        return SWEEP_SECONDS

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


def _emulated(folder: Path) -> Backing:
    from push_dispatch.local.emulated import Emulated  # noqa: PLC0415 - only for --aws

    return Emulated(folder)


def _log_to(file: TextIO) -> None:
    """The handlers' JSON goes to a file: the terminal belongs to people."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(file)
