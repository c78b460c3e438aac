# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""What does ECS's word on a task, polled or in an event, make of its attempt?"""

from __future__ import annotations

import pytest

from push_dispatch.core.events import Claim, Observe, Pushed
from push_dispatch.core.lifecycle import advance
from push_dispatch.core.model import Run, RunState, Status
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.ecs import Ecs
from tests.contract.ecs_suite import EcsSuite
from tests.fakes.ecs import FakeEcs

#: stopCode, the task's reason, exit code, the container's reason -> reason, whether again.
ENDS = [
    ("EssentialContainerExited", "", 0, "", None, True),
    ("EssentialContainerExited", "", 3, "", None, True),
    ("EssentialContainerExited", "", 137, "OutOfMemoryError: Container killed due to memory usage", "out_of_memory", True),
    ("SpotInterruption", "Your Spot Task was interrupted.", 143, "", "spot_interruption", True),
    ("TerminationNotice", "", 143, "", "infrastructure_failure", True),
    ("InfrastructureHealth", "", None, "", "infrastructure_failure", True),
    ("ServiceSchedulerInitiated", "", None, "", "infrastructure_failure", True),
    ("UserInitiated", "Task stopped by user", 143, "", "stopped_on_request", True),
    ("TaskFailedToStart", "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found", None, "", "image_pull_failed", False),
    ("TaskFailedToStart", "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit", None, "", "image_pull_failed", True),
    ("TaskFailedToStart", "CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp: i/o timeout", None, "", "image_pull_failed", True),
    ("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets or registry auth: AccessDeniedException", None, "", "resource_initialization_failed", False),
    ("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets: connection timed out", None, "", "resource_initialization_failed", True),
    ("TaskFailedToStart", "Timeout waiting for network interface provisioning to complete.", None, "", "network_provisioning_timeout", True),
    ("TaskFailedToStart", "Capacity is unavailable at this time.", None, "", "no_capacity", True),
    ("TaskFailedToStart", "Task failed to start", None, 'CannotStartContainerError: exec: "etl": executable file not found in $PATH', "command_not_found", False),
    ("TaskFailedToStart", "Task failed to start", None, "CannotCreateContainerError: mount", "resource_initialization_failed", False),
    ("TaskFailedToStart", "Something new", None, "", "infrastructure_failure", True),
]  # fmt: skip


class TestEnds(EcsSuite):
    @pytest.mark.parametrize(("stop", "why", "code", "container", "reason", "again"), ENDS)
    def test_each_end_has_its_reason(
        self,
        ecs: Ecs,
        fake: FakeEcs,
        stop: str,
        why: str,
        code: int | None,
        container: str,
        reason: str | None,
        again: bool,
    ) -> None:
        job = self.make_job(1)
        handle = ecs.push(job)
        fake.end(job.name, stop, why, exit_code=code, why=container)
        polled = self.seen(ecs, job, handle)
        reported = ecs.parse(fake.events(job.name)[-1])
        for seen in (polled, reported):
            assert seen is not None
            assert (seen.status, seen.reason) == (Status.ENDED, reason)
            assert (seen.exit_code, seen.retryable) == (code, again)
        assert reason is None or reason in REASONS


class TestEvents(EcsSuite):
    def test_events_twice_and_newest_first_end_the_same(self, ecs: Ecs, fake: FakeEcs) -> None:
        job = self.make_job(1)
        handle = ecs.push(job)
        fake.begin(job.name)
        fake.finish(job.name, 3)
        pool, _, uuid = job.run_id.partition(".")
        run = Run(pool, uuid, "default", due=1, submitted_at=1, order=uuid)
        run = advance(run, Claim(1, "ecs", "ecs", "t", "c", 10), 2)
        run = advance(run, Pushed(1, handle), 3)
        states = []
        for event in fake.events_as_delivered(job.name):
            seen = ecs.parse(event)
            assert seen is not None
            run = advance(run, Observe(seen), 4)
            states.append(run.state)
        assert set(states) == {RunState.FAILED}
        assert run.attempts[0].exit_code == 3

    def test_versions_rise(self, ecs: Ecs, fake: FakeEcs) -> None:
        job = self.make_job(1)
        ecs.push(job)
        fake.begin(job.name)
        fake.finish(job.name, 0)
        seen = [ecs.parse(event) for event in fake.events(job.name)]
        versions = [one.version for one in seen if one and one.version is not None]
        assert len(versions) == len(seen)
        assert versions == sorted(set(versions))

    def test_tasks_of_others_are_none_of_ours(self, ecs: Ecs, fake: FakeEcs) -> None:
        job = self.make_job(1)
        ecs.push(job)
        [event, *_] = fake.events(job.name)
        for started_by in ("", "ecs-svc/123", "pd/etl/nonsense/1"):
            event["detail"]["startedBy"] = started_by
            assert ecs.parse(event) is None
