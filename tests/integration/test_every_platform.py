# ruff: noqa: E501 - a row a platform reads better than its wrapped form
"""Do all platforms work at once, in one local runtime, from submission to log and cost?

Each has a pool of its own and twenty runs. The platforms speak over the wire to the project's
fakes, which this test drives, and one starts real processes: what has started writes a line and
ends. Nobody tells the runtime of an end but ECS's events and its processes; of all others it learns
by polling in turns, for the sweep, which would poll them in the end, is kept from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.core.model import Run, RunState
from push_dispatch.core.polling import Pauses
from push_dispatch.engine import sweep
from push_dispatch.engine.job import name_of
from push_dispatch.handlers import finish
from push_dispatch.local import runtime as local_runtime
from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.platforms.aci import Aci
from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.cloud_run import CloudRun
from push_dispatch.platforms.coiled import Coiled
from push_dispatch.platforms.docker import Docker
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.managed import Managed
from push_dispatch.platforms.kubernetes import Kubernetes
from push_dispatch.platforms.modal import Modal
from push_dispatch.platforms.process import Process
from push_dispatch.platforms.vertex import Vertex
from tests.contract import test_platform_ecs as of_ecs
from tests.fakes.aci import FakeAci, variables as aci_variables
from tests.fakes.cloud_run import FakeCloudRun, variables as cloud_run_variables
from tests.fakes.coiled import FakeCoiled, variables as coiled_variables
from tests.fakes.docker import FakeDocker
from tests.fakes.ecs import FakeEcs
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.modal import FakeModal, variables as modal_variables
from tests.fakes.processes import Processes
from tests.fakes.vertex import FakeVertex, variables as vertex_variables
from tests.local import Cli, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RUNS = 20
FAILING = 5  # every fifth


@dataclass(frozen=True)
class Row:
    """One type of pool: its platform, and the fake behind it."""

    type: str
    platform: str
    make: Callable[[], Any]
    connect: Callable[[Any], Platform]
    variables: Mapping[str, Any] = field(default_factory=dict)
    has_price: bool = True


ROWS = (
    Row("ecs:push", "ecs", FakeEcs, lambda f: Ecs(f.environ()), of_ecs.TestFargate.variables),
    Row("managed", "managed", FakeEcs, lambda f: Managed(f.environ(**of_ecs.TestManaged.stack))),
    Row("cloud-run-v2", "cloud-run", FakeCloudRun, lambda f: CloudRun(f.environ()), cloud_run_variables()),
    Row("azure-container-instance:push", "aci", FakeAci, lambda f: Aci(f.environ()), aci_variables()),
    Row("kubernetes", "kubernetes", FakeKubernetes, lambda f: Kubernetes({"KUBECONFIG": f.kubeconfig}), {"image": "job:1"}, has_price=False),
    Row("docker", "docker", FakeDocker, lambda f: Docker(f.environ), {"image": "job:1"}, has_price=False),
    Row("vertex-ai", "vertex", FakeVertex, lambda f: Vertex(f.environ()), vertex_variables()),
    Row("coiled:push", "coiled", FakeCoiled, lambda f: Coiled(f.environ()), coiled_variables(), has_price=False),
    Row("modal:push", "modal", FakeModal, lambda f: Modal(f.environ()), modal_variables()),
    Row("process", "process", Processes, lambda f: Process(f.environ), has_price=False),
)  # fmt: skip


@dataclass
class Service:
    """A runtime with a pool of each type, and the fakes behind them."""

    runtime: LocalRuntime
    cli: Cli
    fakes: Mapping[str, Any]

    def runs(self, row: Row) -> list[Run]:
        return list(self.runtime.ports.store.list_runs(_pool(row)))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        fakes = {row.type: stack.enter_context(row.make()) for row in ROWS}
        platforms = {row.platform: row.connect(fakes[row.type]) for row in ROWS}
        runtime = LocalRuntime("all", tmp_path / "data", {}, platforms)
        cli = Cli(tmp_path / "home")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(cli.home))
            patch.setattr(sweep, "SILENT_SECONDS", 1_000_000)
            # However busy the machine is: nobody is left to the sweep for ten minutes.
            patch.setattr(local_runtime, "PAUSES", Pauses(2, 60))
            stack.enter_context(runtime)
            yield Service(runtime, cli, fakes)


def test_twenty_runs_on_each_platform_at_once(service: Service) -> None:
    for row in ROWS:
        # In a process of its own: threads of the runtime read this one's environment.
        assert service.cli.typed("pool", "create", _pool(row), "--type", row.type).code == 0
    submitters = [threading.Thread(target=_submit, args=(service, row)) for row in ROWS]
    for thread in submitters:
        thread.start()
    for thread in submitters:
        thread.join()
    with _Driven(service):
        eventually(lambda: all(_over(service, row) for row in ROWS), 300)
    for row in ROWS:
        _check(service, row)


def _submit(service: Service, row: Row) -> None:
    from push_dispatch.core.request import Request, copies
    from push_dispatch.engine.submit import submit_many

    # Real processes are told by a pipe what to do, fakes by the test.
    command = getattr(service.fakes[row.type], "command", "python -m etl")
    request = Request(_pool(row), variables={"command": command, **row.variables})
    submit_many(service.runtime.ports, copies(request, RUNS))


def _over(service: Service, row: Row) -> bool:
    runs = service.runs(row)
    return len(runs) == RUNS and all(run.state.ended for run in runs)


def _check(service: Service, row: Row) -> None:
    fake = service.fakes[row.type]
    runs = sorted(service.runs(row), key=lambda run: run.order)
    for number, run in enumerate(runs):
        [attempt] = run.attempts
        code = _code(number)
        wanted = RunState.FAILED if code else RunState.COMPLETED
        assert (run.state, attempt.exit_code) == (wanted, code), (row.type, run)
        assert fake.starts(name_of(run.uuid, 1)) == 1
    assert service.runtime.ports.store.ledger(_pool(row)).holders == ()
    assert fake.leftovers() == [] or row.type == "kubernetes", "its Jobs have a time to live"
    shown = service.cli.typed("run", "inspect", runs[0].id, "--json").json
    assert (shown["estimated_cost_usd"] is not None) == row.has_price, row.type
    if row.type != "kubernetes":
        text = service.runtime.ports.store.kept_log(runs[0].pool, runs[0].uuid, 1)
        platform = service.runtime.ports.platform(row.platform)
        lines = text.split("\n") if text else list(platform.logs(runs[0].attempts[0].handle or ""))  # type: ignore[attr-defined]
        assert lines == [f"hello from {runs[0].id}"], row.type


class _Driven:
    """What starts on a fake writes a line and ends, the fifth of them with code 3."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._drive, args=(row,)) for row in ROWS]
        self.failed: list[BaseException] = []

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert self.failed == []

    def _drive(self, row: Row) -> None:
        fake, done = self._service.fakes[row.type], set[str]()
        while not self._stop.is_set():
            runs = sorted(self._service.runs(row), key=lambda run: run.order)
            for number, run in enumerate(runs):
                name = name_of(run.uuid, 1)
                # Once its handle is known: earlier ends are what other tests are about.
                if name in done or run.current is None or run.current.handle is None:
                    continue
                done.add(name)
                try:
                    self._end(row, fake, run, name, _code(number))
                except BaseException as error:
                    self.failed.append(error)
                    raise
            self._stop.wait(0.2)

    def _end(self, row: Row, fake: Any, run: Run, name: str, code: int) -> None:
        fake.begin(name)
        fake.write_log(name, f"hello from {run.id}")
        fake.finish(name, code)
        if row.platform == "ecs":
            for event in fake.events(name):
                finish.handle(self._service.runtime.ports, event)


def _pool(row: Row) -> str:
    return row.type.replace(":", "-")


def _code(number: int) -> int:
    return 3 if number % FAILING == 0 else 0
