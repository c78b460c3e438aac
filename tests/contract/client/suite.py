"""What the Python client promises, whichever way its requests take.

A runtime executes the runs as processes; `client` is made for it by the subclass.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import pytest

import push_dispatch
from push_dispatch import Client, Invalid, NotFound, Refused, RunFailed, RunState, TimedOut
from tests.contract.client import jobs

__all__ = ["ClientContract"]

_NUMBERS = count()
PRINT = [sys.executable, "-c", "print('one'); print('two')"]


class ClientContract:
    """Each test has a pool of its own; the runtime is the class's."""

    client: ClassVar[Client]

    @pytest.fixture
    def pool(self) -> str:
        name = f"pool-{next(_NUMBERS)}"
        self.client.create_pool(name, "process", limit=4)
        return name

    @pytest.fixture
    def stopped(self, pool: str) -> str:
        """A pool in which nothing starts."""
        self.client.update_pool(pool, paused=True)
        return pool

    # -- one run ------------------------------------------------------------------------------

    def test_a_run_is_submitted_waited_for_and_read(self, pool: str) -> None:
        run = self.client.submit(pool, PRINT, name="n", tags=("a",), parameters={"x": 1})
        assert run.created
        assert run.wait(60).state is RunState.COMPLETED
        assert run.view["tags"] == ["a"]
        assert list(run.logs()) == ["one", "two"]
        assert run.result is None
        events = [event["event"] for event in run.events()]
        assert (events[0], events[-1]) == ("submitted", "completed")
        assert self.client.run(run.id).view == run.refresh().view

    def test_a_log_is_followed_to_its_end(self, pool: str) -> None:
        run = self.client.submit(pool, PRINT)
        assert list(run.logs(follow=True)) == ["one", "two"]
        assert run.state is RunState.COMPLETED

    def test_a_log_is_followed_over_attempts(self, pool: str) -> None:
        code = "print('line'); raise SystemExit(1)"
        run = self.client.submit(
            pool, [sys.executable, "-c", code], retries=1, retry_delay_seconds=0
        )
        assert list(run.logs(follow=True)) == ["line", "line"]
        assert run.state is RunState.FAILED
        assert list(run.logs(attempt=1)) == ["line"]

    def test_a_run_that_fails_says_why(self, pool: str) -> None:
        run = self.client.submit(pool, [sys.executable, "-c", "raise SystemExit(3)"])
        with pytest.raises(RunFailed) as caught:
            _ = run.result
        assert (caught.value.reason, caught.value.run["id"]) == ("exit_code", run.id)

    def test_waiting_ends_after_its_time(self, stopped: str) -> None:
        run = self.client.submit(stopped, "true")
        with pytest.raises(TimedOut):
            run.wait(0.01)
        assert run.explain()["reason"] == "pool_paused"

    def test_a_run_is_cancelled_and_retried(self, stopped: str) -> None:
        run = self.client.submit(stopped, "true")
        with pytest.raises(Refused) as refused:
            run.retry()
        assert refused.value.reason == "not_ended"
        assert run.cancel().state is RunState.CANCELLED
        new = run.retry()
        assert (new.created, new.state) == (True, RunState.SCHEDULED)
        again = run.retry()
        assert (again.created, again.id) == (False, new.id)

    def test_the_same_key_makes_one_run(self, stopped: str) -> None:
        first = self.client.submit(stopped, "true", idempotency_key="k")
        again = self.client.submit(stopped, "true", idempotency_key="k")
        assert (first.created, again.created, first.id) == (True, False, again.id)
        with pytest.raises(Invalid) as caught:
            self.client.submit(stopped, "false", idempotency_key="k")
        assert caught.value.reason == "idempotency_key_reused"

    def test_a_run_of_the_future_is_due_then(self, stopped: str) -> None:
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        run = self.client.submit(stopped, "true", at=at)
        assert datetime.fromisoformat(run.view["scheduled_time"]) == at
        with pytest.raises(Invalid):
            self.client.submit(stopped, "true", at=at.replace(tzinfo=None))

    # -- many ---------------------------------------------------------------------------------

    def test_many_are_submitted_in_order(self, stopped: str) -> None:
        requests: list[Any] = ["true", ["echo", "a b"], {"command": "true", "name": "third"}]
        runs = self.client.submit_many(stopped, requests)
        commands = [run.view["variables"]["command"] for run in runs]
        assert commands == ["true", "echo 'a b'", "true"]
        assert runs[2].view["name"] == "third"
        assert [run.id for run in self.client.runs(stopped)] == [r.id for r in reversed(runs)]

    def test_none_of_many_is_stored_if_one_is_wrong(self, stopped: str) -> None:
        with pytest.raises(Invalid) as caught:
            self.client.submit_many(stopped, ["true", {"job_variables": {"nonsense": 1}}])
        assert caught.value.reason == "invalid_variables"
        assert list(self.client.runs(stopped)) == []

    def test_runs_are_found_by_filter(self, stopped: str) -> None:
        tagged = self.client.submit(stopped, "true", tags=["a"])
        other = self.client.submit(stopped, "true")
        other.cancel()
        find = self.client.runs
        assert [run.id for run in find(stopped, tag="a")] == [tagged.id]
        assert [run.id for run in find(stopped, state=RunState.CANCELLED)] == [other.id]
        assert len(list(find(stopped, state=["CANCELLED", "SCHEDULED"]))) == 2
        assert list(find(stopped, submitted_from=datetime.now(UTC) + timedelta(days=1))) == []

    def test_runs_are_cancelled_and_retried_by_filter(self, stopped: str) -> None:
        runs = self.client.submit_many(stopped, [{"command": "true", "tags": ["x"]}] * 3)
        ids = {run.id for run in runs}
        assert {r.id for r in self.client.cancel_runs(stopped, tag="x", dry_run=True)} == ids
        assert runs[0].refresh().view["state"] == "SCHEDULED"
        assert {r.id for r in self.client.cancel_runs(stopped, tag="x")} == ids
        assert runs[0].state is RunState.CANCELLED
        new = self.client.retry_runs(stopped, state="CANCELLED")
        assert len(new) == 3
        assert not ids & {run.id for run in new}

    # -- jobs ---------------------------------------------------------------------------------

    def test_a_function_runs_in_the_pool_and_returns_its_result(self, pool: str) -> None:
        add = self.client.job(pool=pool, python=sys.executable, **jobs.FIELDS)(jobs.add)
        assert add(1, 2) == 3
        assert add.remote(1, b=2) == 3
        assert list(self.client.map(add, [1, 2, 3])) == [11, 12, 13]

    def test_a_function_that_raises_fails_its_run(self, pool: str) -> None:
        fail = self.client.job(pool=pool, python=sys.executable, **jobs.FIELDS)(jobs.fail)
        run = fail.submit()
        with pytest.raises(RunFailed):
            _ = run.result
        assert "ZeroDivisionError" in "\n".join(run.logs())

    def test_what_is_not_json_is_refused_at_once(self, stopped: str) -> None:
        add = self.client.job(pool=stopped)(jobs.add)
        with pytest.raises(Invalid, match="JSON"):
            add.submit(object())  # type: ignore[arg-type]
        with pytest.raises(Invalid, match="inside of another function"):
            self.client.job(pool=stopped)(lambda: 1)
        assert list(self.client.runs(stopped)) == []

    # -- configuration ------------------------------------------------------------------------

    def test_pools_are_listed_changed_and_explained(self, pool: str) -> None:
        assert pool in {found["name"] for found in self.client.pools()}
        assert self.client.update_pool(pool, limit=2)["limit"] == 2
        assert self.client.update_pool(pool, limit=None)["limit"] is None
        assert self.client.explain_pool(pool)["queues"][0]["waiting"] == 0
        with pytest.raises(Refused) as caught:
            self.client.create_pool(pool, "process")
        assert caught.value.reason == "pool_exists"

    def test_a_deployment_makes_runs(self, stopped: str) -> None:
        name = f"of-{stopped}"
        body = {"pool": stopped, "command": "true", "tags": ["d"]}
        self.client.request("PUT", f"/v1/deployments/{name}", body)
        assert name in {found["name"] for found in self.client.deployments()}
        run = self.client.submit(deployment=name, tags=["r"])
        assert run.pool == stopped
        assert run.view["tags"] == ["d", "r"]

    def test_what_is_not_there_is_not_found(self, pool: str) -> None:
        for call, reason in (
            (lambda: self.client.pool("nowhere"), "pool_not_found"),
            (lambda: self.client.deployment("nowhere"), "deployment_not_found"),
            (lambda: self.client.submit("nowhere", "true"), "pool_not_found"),
            (lambda: self.client.submit(pool, "true", queue="x"), "queue_not_found"),
            (
                lambda: self.client.run(f"{pool}.0199c1f0-1111-7222-8333-444455556666"),
                "run_not_found",
            ),
        ):
            with pytest.raises(NotFound) as caught:
                call()
            assert caught.value.reason == reason

    def test_what_is_malformed_is_invalid(self, pool: str) -> None:
        for call in (
            lambda: self.client.submit(pool, "true", retries=-1),
            lambda: self.client.submit(pool, "true", nonsense=1),  # type: ignore[call-arg]
            lambda: self.client.update_pool(pool, limit="many"),
            lambda: self.client.update_pool(pool, limit=float("nan")),
            lambda: self.client.run("nonsense"),
            lambda: self.client.submit(),
        ):
            with pytest.raises(Invalid):
                call()

    def test_every_error_is_one_of_the_package(self, pool: str) -> None:
        with pytest.raises(push_dispatch.PushDispatchError):
            self.client.request("PUT", f"/v1/pools/{pool}", {"type": "ecs"})
