"""Do the files for `sam local invoke` do what they show, with the handlers that are deployed?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.api.gateway import answered
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import create_pool
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.events import Claim, Pushed
from push_dispatch.core.model import Pool, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.engine.submit import prepare
from push_dispatch.engine.transition import transition
from push_dispatch.handlers import dispatch, finish, push, submit, sweep
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.managed import Managed
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push
from tests.fakes.ecs import FakeEcs
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore

FOLDER = Path(__file__).parents[2] / "events"
UUID = "0199c1f0-0000-7000-8000-000000000001"
DUE = 1_764_000_000_000
#: The task of `queue-ecs-task-stopped`: an end of another task is none of the attempt.
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/0123456789abcdef0123456789abcdef"
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}


class Backend:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.messages = MemoryMessages()
        self.ids = 0
        self.ports = Ports(
            store=self.store,
            messages=self.messages,
            clock=lambda: 1_800_000_000_000,
            new_id=self._new_id,
            platform=lambda name: Ecs({"AWS_REGION": "eu-central-1"}),
            secrets=secrets_from({}),
        )
        create_pool(self.ports, Pool("etl", "ecs"), TEMPLATE)

    def stored(self) -> Run:
        """The run that the files are about, as somebody has submitted it."""
        pool = self.store.pool("etl")
        assert pool is not None
        request = Request("etl", variables={"command": "python job.py"})
        run = replace(prepare(self.ports, pool, request), due=DUE)
        assert run.uuid == UUID
        return self.store.add_run(run)

    @property
    def runs(self) -> list[Run]:
        return list(self.store.list_runs("etl"))

    def _new_id(self) -> str:
        self.ids += 1
        return f"0199c1f0-0000-7000-8000-{self.ids:012d}"


@pytest.fixture
def backend() -> Backend:
    return Backend()


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return loaded


def test_a_submitted_run_is_admitted(backend: Backend) -> None:
    backend.stored()
    assert dispatch.handle(backend.ports, event("stream-run-submitted"))["batchItemFailures"] == []
    [(platform, message, _)] = backend.messages.sent
    assert (platform, message.__class__) == ("ecs", Push)
    assert [holder.run for holder in backend.store.ledger("etl").holders] == [UUID]


def test_a_wake_dispatches_its_pool(backend: Backend) -> None:
    assert dispatch.handle(backend.ports, event("queue-wake"))["batchItemFailures"] == []


def test_a_push_of_a_run_that_is_gone_hands_its_slot_back(backend: Backend) -> None:
    assert push.handle(backend.ports, event("queue-push"))["batchItemFailures"] == []
    assert [wake.pool for wake, _ in backend.messages.wakes] == ["etl"]


def test_a_stopped_task_ends_its_run(backend: Backend) -> None:
    run = backend.stored()
    claim = Claim(1, "ecs", "ecs", "t", "c", 1_800_000_060_000)
    run = transition(backend.ports, "etl", run.uuid, claim)
    transition(backend.ports, "etl", run.uuid, Pushed(1, TASK))
    finish.handle(backend.ports, event("queue-ecs-task-stopped"))
    [ended] = backend.runs
    assert (ended.state, ended.reason) == (RunState.COMPLETED, "completed")


def test_whether_the_credentials_are_good_starts_nothing(backend: Backend) -> None:
    with FakeEcs() as fake:
        platforms = {"ecs": Ecs(fake.environ()), "managed": Managed(fake.environ())}
        ports = replace(backend.ports, platform=platforms.__getitem__)
        reported = push.handle(ports, event("sign-in"))
        assert fake.actions() == ["ListTasks"]
    assert {name: (text["ok"], text["reason"]) for name, text in reported.items()} == {
        "ecs": (True, None),
        "managed": (False, "platform_not_configured"),
    }


def test_the_minute_sweeps(backend: Backend) -> None:
    assert event("schedule-sweep")["detail-type"] == "Scheduled Event"
    assert sweep.handle(backend.ports)["pools"] == 1


def test_a_request_makes_one_run_however_often_it_comes(backend: Backend) -> None:
    for _ in range(2):
        done = submit.handle(backend.ports, event("queue-run-requested"))
        assert done == {"batchItemFailures": []}
    [run] = backend.runs
    assert (run.variables, run.tags) == ({"command": "python job.py"}, ("from-the-bus",))


def test_a_wrong_request_is_refused_and_not_delivered_again(backend: Backend) -> None:
    done = submit.handle(backend.ports, event("queue-run-requested-wrong"))
    assert done == {"batchItemFailures": []}
    assert backend.runs == []


def test_a_schedule_that_fires_twice_makes_one_run(backend: Backend) -> None:
    schedule = Schedule(cron="0 3 * * *")
    deployment = Deployment("nightly", "etl", command="python job.py", schedules=(schedule,))
    save_deployment(backend.ports, deployment)
    for _ in range(2):
        submit.handle(backend.ports, event("scheduler-firing"))
    [run] = backend.runs
    assert run.deployment == "nightly"


def test_an_upload_becomes_a_run_of_a_deployment(backend: Backend) -> None:
    save_deployment(backend.ports, Deployment("ingest", "etl", command="python ingest.py"))
    submit.handle(backend.ports, event("queue-s3-upload-mapped"))
    [run] = backend.runs
    assert run.parameters == {"bucket": "uploads", "key": "2026/11/data.csv"}


def test_pools_and_a_run_by_http(backend: Backend) -> None:
    shown = answered(backend.ports, event("http-list-pools"))
    assert [pool["name"] for pool in json.loads(shown["body"])["items"]] == ["etl"]
    answers = [answered(backend.ports, event("http-submit")) for _ in range(2)]
    assert [answer["statusCode"] for answer in answers] == [201, 200]
    [run] = backend.runs
    assert (run.variables, run.tags) == ({"command": "python job.py"}, ("by-http",))


def test_every_file_is_used() -> None:
    used = Path(__file__).read_text()
    assert [f.stem for f in FOLDER.glob("*.json") if f'event("{f.stem}")' not in used] == []
