"""Does push-dispatch serve the work pools of a real Prefect server, as its own workers would?

Real servers of both versions, on SQLite; flows run as processes; no worker exists.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from push_dispatch.core.model import RunState
from push_dispatch.engine.finish import finish
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.ports.prefect import Address
from tests.fakes.bridged import Bridged, Clock
from tests.fakes.ecs import FakeEcs
from tests.fakes.prefect import FakePrefect
from tests.local import Cli, LocalUp, eventually
from tests.prefect_server import VERSIONS, PrefectServer, Stub, environment

#: Runs that are submitted at once; done by hand with 1000.
_MANY = int(os.environ.get("PREFECT_MANY", "60"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 + _MANY)]

_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


#: Each version in a process of its own, where there are several: `-n 2 --dist loadgroup`.
_BOTH = [pytest.param(each, marks=pytest.mark.xdist_group(each)) for each in VERSIONS]


@pytest.fixture(scope="module", params=_BOTH)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    if environment(request.param) is None:
        pytest.skip(f"Prefect {request.param} is not installed: make env-{VERSIONS[request.param]}")
    home = tmp_path_factory.mktemp("prefect")
    # With a line for each request in its log.
    logs = {"PREFECT_SERVER_LOGGING_LEVEL": "INFO"}
    with PrefectServer(home, request.param, settings=logs) as started:
        yield started


@pytest.fixture(scope="module")
def cli(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A local runtime beside the server."""
    folder = tmp_path_factory.mktemp("local")
    found = Cli(folder / "home")
    with LocalUp(found, ("--data-dir", str(folder / "data"))):
        yield found


_OLDER, _NEWER = VERSIONS


def only_on(server: PrefectServer, version: str) -> None:
    """What is ours and not the server's is tried with one version; some with each, so that the two
    take as long as each other."""
    if server.version != version:
        pytest.skip(f"tried with {version}")


def all_are(server: PrefectServer, runs: Sequence[str], *types: str) -> None:
    eventually(lambda: all(server.flow_run(run)["state_type"] in types for run in runs), 200)


def test_scheduled_and_adhoc_runs_of_three_queues_end_within_their_limits(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    stub = Stub(tmp_path)
    server.create_pool("etl", concurrency_limit=5)
    limits = {"high": 2, "mid": 3, "low": None}
    deployments = {}
    for queue, limit in limits.items():
        server.create_queue("etl", queue, concurrency_limit=limit)
        deployments[queue] = server.deploy(
            queue, "etl", queue=queue, command=stub.command,
            job_variables={"env": {"STUB_SECONDS": "0.3"}},
        )  # fmt: skip
    real = server.deploy("real", "etl", queue="low")
    fails = server.deploy("fails", "etl", queue="low", flow="fails")
    cli.ok("prefect", "attach", "etl", "--api-url", server.url)
    soon = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
    runs = [server.run(deployments[queue]) for queue in limits for _ in range(10)]
    runs += [server.run(deployments[queue], at=soon) for queue in limits for _ in range(9)]
    real_runs = [server.run(real), server.run(real, at=soon)]
    failed = server.run(fails)
    most: Counter[str] = Counter()

    def all_ended() -> bool:
        found = server.flow_runs()
        held = Counter(
            r["work_queue_name"] for r in found if r["state_type"] in ("PENDING", "RUNNING")
        )
        held["etl"] = sum(held.values())
        for name, number in held.items():
            most[name] = max(most[name], number)
        return all(r["state_type"] in _ENDED for r in found)

    eventually(all_ended, seconds=240)
    ended = {r["id"]: r for r in server.flow_runs()}
    assert {ended[run]["state_type"] for run in runs + real_runs} == {"COMPLETED"}
    assert ended[failed]["state_type"] == "FAILED"
    assert Counter(stub.started()) == Counter(runs)
    assert most["etl"] <= 5
    assert most["high"] <= 2
    assert most["mid"] <= 3
    assert most["etl"] > 2, "nothing ran at the same time"
    # A busy server may learn where a run executes when it is over, and then it is not told.
    assert any(ended[run]["infrastructure_pid"] for run in real_runs)
    pool = server.call("GET", "/work_pools/etl")
    assert pool["status"] == "READY"
    workers = server.call("POST", "/work_pools/etl/workers/filter", {})
    assert [worker["name"] for worker in workers] == ["push-dispatch"]


def test_many_adhoc_runs_at_once_all_end_and_none_runs_twice(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    only_on(server, _OLDER if _MANY == 60 else server.version)
    stub = Stub(tmp_path)
    server.create_pool("many", concurrency_limit=8)
    deployment = server.deploy("many", "many", command=stub.command)
    cli.ok("prefect", "attach", "many", "--api-url", server.url)
    runs = [server.run(deployment) for _ in range(_MANY)]
    deployed = {"any_": [deployment]}
    completed = {"state": {"type": {"any_": ["COMPLETED"]}}}

    def all_completed() -> bool:
        body = {"flow_runs": completed, "deployments": {"id": deployed}}
        return bool(server.call("POST", "/flow_runs/count", body) == _MANY)

    eventually(all_completed, seconds=600 + _MANY)
    assert Counter(stub.started()) == Counter(runs)


def test_single_adhoc_runs_cost_the_server_two_requests_each(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    """A claim and the note of its place, beside the two in which its job says how it is; and what a
    minute costs: a look, and pools and queues while runs wait."""
    only_on(server, _NEWER)
    stub = Stub(tmp_path)
    server.create_pool("single")
    deployment = server.deploy("single", "single", command=stub.command)
    cli.ok("prefect", "attach", "single", "--api-url", server.url)
    runs: list[str] = []

    def one() -> None:
        runs.append(server.run(deployment))
        eventually(lambda: server.flow_run(runs[-1])["state_type"] == "COMPLETED", 100)

    # Until its pool has been read, and the server knows where to send its hints.
    eventually(lambda: "POST /automations/" in server.requests())
    one()
    before, began = Counter(server.requests()), time.monotonic()
    for _ in range(10):
        one()
    minutes = int((time.monotonic() - began) / 60) + 2
    made = Counter(server.requests()) - before
    ours = {"GET /flow_runs/ID", "POST /deployments/ID/create_flow_run"}
    jobs = {"POST /flow_runs/ID/set_state"}
    spent = {each: made[each] for each in made if each not in ours | jobs}
    assert sum(spent.values()) <= 2 * 10 + 4 * minutes, spent
    assert Counter(stub.started()) == Counter(runs)


def test_a_run_due_at_a_second_starts_within_one_after_it_and_never_before(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    server.create_pool("timely")
    mark = tmp_path / "times"
    command = f"sh -c 'date +%s.%N >> {mark}'"
    deployment = server.deploy("timely", "timely", command=command)
    cli.ok("prefect", "attach", "timely", "--api-url", server.url)
    due = datetime.now(UTC) + timedelta(seconds=12)
    for number in range(3):
        server.run(deployment, at=(due + timedelta(milliseconds=700 * number)).isoformat())
    eventually(lambda: mark.exists() and len(mark.read_text().split()) == 3)
    times = sorted(map(float, mark.read_text().split()))
    late = [at - due.timestamp() - 0.7 * n for n, at in enumerate(times)]
    assert all(each >= 0 for each in late), late
    # Within a second on a machine that has time for it.
    assert min(late) < 1 or os.getloadavg()[0] > 2, late


def test_cancellations_in_every_state_end_in_cancelled(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    server.create_pool("cancel", concurrency_limit=2)
    slow = server.deploy("slow", "cancel", flow="slow")
    stub = Stub(tmp_path)
    deaf = server.deploy(
        "deaf", "cancel", command=stub.command, job_variables={"env": {"STUB_SECONDS": "300"}}
    )
    cli.ok("prefect", "attach", "cancel", "--api-url", server.url)
    real, stubborn = server.run(slow), server.run(deaf)
    waiting = server.run(slow)
    future = server.run(slow, at=(datetime.now(UTC) + timedelta(seconds=90)).isoformat())
    all_are(server, (real, stubborn), "RUNNING")
    for run in (waiting, future, real, stubborn):
        server.set_state(run, "CANCELLING")
    all_are(server, (waiting, future, real, stubborn), "CANCELLED")
    held = cli.ok("pool", "inspect", "cancel", "--json").json
    eventually(lambda: cli.ok("pool", "inspect", "cancel", "--json").json["slots_used"] == 0)
    assert held["limit"] == 2


def test_a_killed_job_is_crashed_within_a_minute_and_a_rerun_runs(
    server: PrefectServer, cli: Cli
) -> None:
    server.create_pool("crash")
    dies = server.deploy("dies", "crash", flow="dies")
    cli.ok("prefect", "attach", "crash", "--api-url", server.url)
    run = server.run(dies)
    eventually(lambda: server.flow_run(run)["state_type"] == "CRASHED", 200)
    assert "push-dispatch" in server.flow_run(run)["state"]["message"]
    server.set_state(run, "SCHEDULED", name="AwaitingRetry", message="Retry from the UI")
    eventually(lambda: len([s for s in server.states(run) if s["type"] == "CRASHED"]) == 2, 200)


def test_a_crashed_run_runs_again_if_an_automation_of_prefects_says_so(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    """As the guide has it."""
    only_on(server, _NEWER)
    pool, mark = server.create_pool("again"), tmp_path / "mark"
    of_pool = {
        "prefect.resource.role": "work-pool",
        "prefect.resource.id": f"prefect.work-pool.{pool}",
    }
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": of_pool,
        "expect": ["prefect.flow-run.Crashed"],
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": 0,
    }
    action = {"type": "change-flow-run-state", "state": "SCHEDULED"}
    automation = {"name": "again", "trigger": trigger, "actions": [action]}
    server.call("POST", "/automations/", automation)
    once = f"test -e {mark} || {{ touch {mark}; exit 3; }}; {Stub(tmp_path).command}"
    deployment = server.deploy("again", "again", command=f"sh -c '{once}'")
    cli.ok("prefect", "attach", "again", "--api-url", server.url)
    run = server.run(deployment)
    eventually(lambda: server.flow_run(run)["state_type"] == "COMPLETED", 200)
    assert "CRASHED" in {state["type"] for state in server.states(run)}


def test_a_suspended_flow_is_not_crashed_and_goes_on_after_its_resume(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    server.create_pool("suspend")
    deployment = server.deploy(
        "suspend",
        "suspend",
        flow="suspends",
        job_variables={"env": {"MARK": str(tmp_path / "mark")}},
    )
    cli.ok("prefect", "attach", "suspend", "--api-url", server.url)
    run = server.run(deployment)
    eventually(lambda: server.flow_run(run)["state_name"] == "Suspended", 200)
    eventually(lambda: cli.ok("pool", "inspect", "suspend", "--json").json["slots_used"] == 0)
    server.call("POST", f"/flow_runs/{run}/resume", {})
    eventually(lambda: server.flow_run(run)["state_type"] == "COMPLETED", 200)
    assert "CRASHED" not in {state["type"] for state in server.states(run)}


def test_a_flow_finds_what_a_worker_would_have_given_it(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    server.create_pool("told")
    server.call("POST", "/variables/", {"name": "colour", "value": "blue"})
    mark = tmp_path / "told"
    env = {"MARK": str(mark), "TOLD": "{{ prefect.variables.colour }}"}
    deployment = server.deploy("told", "told", flow="tells", job_variables={"env": env})
    cli.ok("prefect", "attach", "told", "--api-url", server.url)
    run = server.run(deployment)
    eventually(lambda: server.flow_run(run)["state_type"] == "COMPLETED", 200)
    reported = dict(line.split("=", 1) for line in mark.read_text().splitlines())
    assert reported["PREFECT__FLOW_RUN_ID"] == run
    assert reported["PREFECT__DEPLOYMENT_ID"] == deployment
    assert reported["PREFECT__FLOW_NAME"] == "tells"
    assert reported["PREFECT_API_URL"] == server.url
    assert reported["TOLD"] == "blue"


def test_a_worker_that_was_started_by_accident_makes_nothing_run_twice(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    only_on(server, _OLDER)
    stub = Stub(tmp_path)
    server.create_pool("both")
    # Long enough for both to have claimed: a worker's claim of a run that has ended meanwhile is
    # accepted by the server, and starts it again, with or without us.
    deployment = server.deploy(
        "both", "both", command=stub.command, job_variables={"env": {"STUB_SECONDS": "8"}}
    )
    command = [str(server.programs / "prefect"), "worker", "start", "--pool", "both"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--type", "process"],
            env={**server.environ, "PREFECT_WORKER_QUERY_SECONDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        named = "/work_pools/both/workers/filter"
        eventually(lambda: bool(server.call("POST", named, {})), 200)
        done = cli.ok("prefect", "attach", "both", "--api-url", server.url)
        assert "stop the worker" in done.err
        soon = (datetime.now(UTC) + timedelta(seconds=8)).isoformat()
        runs = [server.run(deployment, at=soon) for _ in range(6)]
        runs += [server.run(deployment) for _ in range(6)]
        all_are(server, runs, "COMPLETED")
        assert Counter(stub.started()) == Counter(runs)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def test_two_bridges_on_one_pool_start_no_run_twice(server: PrefectServer) -> None:
    only_on(server, _NEWER)
    server.create_pool("two")
    both = [Bridged(cast("FakePrefect", server), _Now()) for _ in range(2)]
    runs = [server.run(server.deploy("two", "two")) for _ in range(12)]
    for each in both:
        each.attach("two", address=Address(server.url))
        each.tick()
        assert len(each.runs("two")) == len(runs), "both want all of them"
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(Bridged.deliver, both))
    started = [[each.started(run) for each in both] for run in runs]
    assert all(sum(of_each) == 1 for of_each in started), started


def test_what_the_commands_say(server: PrefectServer, cli: Cli) -> None:
    only_on(server, _OLDER)
    server.create_pool("said", concurrency_limit=2)
    server.deploy("said", "said")
    watched = ("prefect", "shadow", "said", "--api-url", server.url, "--during", "3s")
    report = cli.ok(*watched, "--every", "1s", "--json").json
    assert report["polls"] >= 2
    assert report["refused"] == []
    missing = cli("prefect", "attach", "nowhere", "--api-url", server.url)
    assert missing.code == 1
    assert "has no work pool 'nowhere'" in missing.err
    assert "prefect work-pool ls" in missing.err
    done = cli.ok("prefect", "attach", "said", "--api-url", server.url)
    assert f"Attached work pool 'said' of Prefect {server.version} as pool 'said'." in done.out
    shown = cli.ok("prefect", "status", "--json").json
    (mine,) = [each for each in shown if each["pool"] == "said"]
    assert mine["address"]["api_url"] == server.url
    assert "hint_secret" not in mine
    assert "said" in cli.ok("prefect", "status").out
    refused = cli("pool", "set-limit", "said", "5")
    assert "is attached to a Prefect server, which decides its limit" in refused.err
    assert "0 waiting runs" in cli.ok("prefect", "detach", "said").out
    assert cli("pool", "inspect", "said").code == 1
    workers = server.call("POST", "/work_pools/said/workers/filter", {})
    assert workers == []
    automations = server.call("POST", "/automations/filter", {})
    assert not [each for each in automations if "'said'" in each["description"]]


def test_a_real_flow_of_an_ecs_pool_is_a_task_that_completes(server: PrefectServer) -> None:
    """The task is ECS's in miniature, what runs in it is Prefect's own engine."""
    only_on(server, _NEWER)
    pool, clock = "ecs", _Now()
    server.create_pool(pool, type="ecs:push", base_job_template={})
    with FakeEcs() as ecs:
        ours = Bridged(cast("FakePrefect", server), clock)
        ours.serve("ecs", Ecs(ecs.environ()))
        variables = {
            "image": "my/flows:1",
            "command": f"{server.programs}/prefect flow-run execute",
            "network_configuration": {"subnets": ["subnet-a"]},
            "execution_role_arn": "arn:aws:iam::123456789012:role/execution",
        }
        run = server.run(server.deploy("ecs", pool, job_variables=variables))
        ours.attach(pool, address=Address(server.url))
        ours.tick()
        ours.deliver()
        (mine,) = ours.runs(pool)
        assert mine.current is not None, mine
        name = f"pd-{mine.uuid.replace('-', '')}-1"
        ecs.begin(name)
        env = {**server.environ, **ecs.environment(name)}
        (started,) = ecs.requests(name)
        (container,) = started["overrides"]["containerOverrides"]
        task = subprocess.run(container["command"], env=env, timeout=200, check=False)
        ecs.finish(name, task.returncode)
        for seen in ours.ports.platform("ecs").observe(
            [Watched(str(mine.current.handle), mine.id, 1)]
        ):
            finish(ours.ports, seen)
        ours.deliver()
        ours.tick()
        assert server.flow_run(run)["state_type"] == "COMPLETED"
        assert server.flow_run(run)["infrastructure_pid"] == mine.current.handle
        (mine,) = ours.runs(pool)
        assert mine.state is RunState.COMPLETED


class _Now(Clock):
    """The time as it is: the server has its own."""

    @property
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    @now.setter
    def now(self, value: int) -> None:
        """It goes on by itself."""


def test_a_server_that_is_restarted_in_the_middle_loses_and_doubles_nothing(
    server: PrefectServer, cli: Cli, tmp_path: Path
) -> None:
    """Last: the server is another process afterwards."""
    only_on(server, _OLDER)
    stub = Stub(tmp_path)
    server.create_pool("restart", concurrency_limit=2)
    deployment = server.deploy(
        "restart", "restart", command=stub.command, job_variables={"env": {"STUB_SECONDS": "1"}}
    )
    cli.ok("prefect", "attach", "restart", "--api-url", server.url)
    runs = [server.run(deployment) for _ in range(8)]
    eventually(lambda: len(stub.started()) >= 3)
    server.stop(signal.SIGKILL)
    server.start()
    all_are(server, runs, *_ENDED)
    ended = Counter(server.flow_run(run)["state_type"] for run in runs)
    # Those whose job could not reach the server for long have not said that they completed.
    assert ended["COMPLETED"] >= 5, ended
    assert Counter(stub.started()) == Counter(runs)


def test_a_run_that_a_restored_server_has_forgotten_is_not_started_again(
    server: PrefectServer, tmp_path: Path
) -> None:
    """After all others: it forgets them, too."""
    only_on(server, _NEWER)
    ours = Bridged(cast("FakePrefect", server), _Now())
    server.create_pool("restored")
    before, after = [server.run(server.deploy("restored", "restored")) for _ in range(2)]
    server.copy_database(tmp_path)
    ours.attach("restored", address=Address(server.url))
    server.set_state(after, "CANCELLED")
    ours.tick()
    ours.deliver()
    server.set_state(before, "RUNNING")
    server.set_state(before, "COMPLETED")
    ours.platform.end(ours.container(before), 0)
    ours.deliver()
    server.stop()
    server.restore_database(tmp_path)
    server.start()
    ours.tick()
    ours.deliver()
    assert ours.started(before) == 1
    assert server.flow_run(before)["state_type"] == "CRASHED"
    assert "not started twice" in server.flow_run(before)["state"]["message"]
    assert ours.started(after) == 1, "its cancellation is forgotten as well"
