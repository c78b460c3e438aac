"""Is an execution seen as it is, whatever became of it?"""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import run_v2
from google.rpc.status_pb2 import Status as RpcStatus  # type: ignore[import-untyped]
from grpc import StatusCode

from push_dispatch.core.errors import Throttled, Uncertain
from push_dispatch.core.model import Status
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.cloud_run import CloudRun
from tests.contract.cloud_run_suite import NOWHERE, CloudRunSuite
from tests.fakes.cloud_run import FakeCloudRun
from tests.fakes.cloud_run_service import Refusal
from tests.fakes.relay import Relay
from tests.fakes.rest_server import Answer

ENDPOINT = "PUSH_DISPATCH_CLOUD_RUN_ENDPOINT"

_STATE: Any = run_v2.Condition.State
_COMMON: Any = run_v2.Condition.CommonReason
_WHY: Any = run_v2.Condition.ExecutionReason


def _result(exit_code: int = 0, message: str = "", signal: int = 0) -> run_v2.TaskAttemptResult:
    status = RpcStatus(code=10 if message else 0, message=message)
    return run_v2.TaskAttemptResult(exit_code=exit_code, term_signal=signal, status=status)


OOM = "Memory limit of 512 MiB exceeded with 520 MiB used."
#: What a task's last attempt and its execution's reason may be, with what is made of it.
FAILURES = [
    (_result(3), "", _WHY.NON_ZERO_EXIT_CODE, (3, None, True)),
    (_result(137, OOM), "", _WHY.NON_ZERO_EXIT_CODE, (137, "out_of_memory", True)),
    (_result(0, "x", signal=9), "", _WHY.NON_ZERO_EXIT_CODE, (None, "out_of_memory", True)),
    (
        _result(0, "Container terminated on signal 9."),
        "",
        _WHY.NON_ZERO_EXIT_CODE,
        (None, "out_of_memory", True),
    ),
    (
        _result(0, "The configured timeout was reached."),
        "",
        _WHY.EXECUTION_REASON_UNDEFINED,
        (None, "timed_out", True),
    ),
    (
        _result(3, "connection timeout, no such file or directory"),
        "",
        _WHY.NON_ZERO_EXIT_CODE,
        (3, None, True),
    ),
    (_result(3, OOM), "", _WHY.NON_ZERO_EXIT_CODE, (3, None, True)),
    (
        _result(0),
        "Image 'us-docker.pkg.dev/secret-quota/timeout' was refused",
        _WHY.EXECUTION_REASON_UNDEFINED,
        (None, "infrastructure_failure", True),
    ),
    (
        _result(),
        "Google Cloud Run Service Agent a@b must have permission to read the image, gcr.io/p/etl",
        _WHY.EXECUTION_REASON_UNDEFINED,
        (None, "image_pull_failed", False),
    ),
    (_result(1, "see the quota of secrets"), "", _WHY.NON_ZERO_EXIT_CODE, (1, None, True)),
    (_result(), "", _WHY.CANCELLED, (None, "stopped_on_request", True)),
    (_result(), "", _WHY.CANCELLING, (None, "stopped_on_request", True)),
    (_result(), "", _WHY.DELETED, (None, "stopped_on_request", True)),
    (
        _result(),
        "",
        _WHY.JOB_STATUS_SERVICE_POLLING_ERROR,
        (None, "infrastructure_failure", True),
    ),
    (
        _result(),
        "Image 'nope' not found.",
        _WHY.EXECUTION_REASON_UNDEFINED,
        (None, "image_pull_failed", False),
    ),
    (
        _result(0, "exec /no/such: no such file or directory"),
        "",
        _WHY.EXECUTION_REASON_UNDEFINED,
        (None, "command_not_found", False),
    ),
    (
        _result(),
        "who knows",
        _WHY.EXECUTION_REASON_UNDEFINED,
        (None, "infrastructure_failure", True),
    ),
]
#: Why a job never gets ready, with what is made of it.
NEVER_READY = [
    (_COMMON.CONTAINER_MISSING, "Image 'nope' not found.", ("image_pull_failed", False)),
    (_COMMON.CONTAINER_PERMISSION_DENIED, "", ("image_pull_failed", False)),
    (_COMMON.CONTAINER_IMAGE_UNAUTHORIZED, "", ("image_pull_failed", False)),
    (_COMMON.SECRETS_ACCESS_CHECK_FAILED, "", ("resource_initialization_failed", False)),
    (_COMMON.VPC_NETWORK_NOT_FOUND, "", ("resource_initialization_failed", False)),
    (_COMMON.ENCRYPTION_KEY_PERMISSION_DENIED, "", ("resource_initialization_failed", False)),
    (_COMMON.INTERNAL, "", ("infrastructure_failure", True)),
    (_COMMON.UNKNOWN, "Quota exceeded", ("no_capacity", True)),
    (_COMMON.UNKNOWN, "", ("infrastructure_failure", True)),
]


class TestEnds(CloudRunSuite):
    @pytest.mark.parametrize(("result", "message", "why", "expected"), FAILURES)
    def test_failure_is_told_by_the_task(
        self,
        cloud_run: CloudRun,
        fake: FakeCloudRun,
        result: run_v2.TaskAttemptResult,
        message: str,
        why: Any,
        expected: tuple[int | None, str | None, bool],
    ) -> None:
        job = self.make_job(1)
        handle = cloud_run.push(job)
        fake.begin(job.name)
        fake.fail(job.name, result, message, why)
        end = self.see(cloud_run, job, handle)
        assert end.status is Status.ENDED
        assert (end.exit_code, end.reason, end.retryable) == expected
        assert end.reason is None or end.reason in REASONS
        assert end.started_at is not None
        assert end.ended_at is not None

    @pytest.mark.parametrize(("reason", "message", "expected"), NEVER_READY)
    def test_job_that_never_gets_ready_has_ended(
        self,
        cloud_run: CloudRun,
        fake: FakeCloudRun,
        reason: Any,
        message: str,
        expected: tuple[str, bool],
    ) -> None:
        fake.slow_start = True
        job = self.make_job(1)
        handle = cloud_run.push(job)
        condition = run_v2.Condition(state=_STATE.CONDITION_FAILED, reason=reason, message=message)
        fake.fail_job(job.name, condition)
        end = self.see(cloud_run, job, handle)
        assert (end.status, end.exit_code) == (Status.ENDED, None)
        assert (end.reason, end.retryable) == expected

    def test_cancelled_in_the_console_is_stopped_on_request(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        # The count is told even where the reason is another one.
        job = self.make_job(1)
        handle = cloud_run.push(job)
        fake.begin(job.name)
        fake.fail(job.name, _result(143), "Execution failed.")
        execution = fake.of(job.name).execution
        assert execution is not None
        execution.failed_count, execution.cancelled_count = 0, 1
        end = self.see(cloud_run, job, handle)
        assert (end.status, end.exit_code, end.reason) == (Status.ENDED, None, "stopped_on_request")

    def test_cleaned_up_while_it_is_read_is_told_without_its_tasks(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        job = self.make_job(1)
        handle = cloud_run.push(job)
        fake.finish(job.name, 3)
        fake.refuse_next(Refusal(StatusCode.NOT_FOUND, "gone"), "ListTasks")
        end = self.see(cloud_run, job, handle)
        assert (end.status, end.reason) == (Status.ENDED, "infrastructure_failure")

    def test_success_takes_one_request(self, cloud_run: CloudRun, fake: FakeCloudRun) -> None:
        job = self.make_job(1)
        handle = cloud_run.push(job)
        fake.finish(job.name, 0)
        before = fake.calls()
        assert self.see(cloud_run, job, handle).exit_code == 0
        assert fake.calls() - before == 1

    def test_malformed_handles_are_lost_and_otherwise_ignored(self, cloud_run: CloudRun) -> None:
        for handle in ("", "projects/p/locations/l/jobs/j", "arn:aws:ecs:x"):
            [seen] = cloud_run.observe([Watched(handle, "contract.x", 1)])
            assert seen.status is Status.LOST
            cloud_run.cancel(handle)
            cloud_run.clean_up(handle)
            assert list(cloud_run.logs(handle)) == []


class TestBeforeTheExecution(CloudRunSuite):
    def test_job_without_its_execution_is_starting(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        fake.slow_start = True
        job = self.make_job(1)
        handle = cloud_run.push(job)
        seen = self.see(cloud_run, job, handle)
        assert (seen.status, seen.message) == (Status.STARTING, "The job is prepared.")
        assert cloud_run.push(job) == cloud_run.find(job) == handle
        fake.admit(job.name)
        fake.begin(job.name)
        assert self.see(cloud_run, job, handle).status is Status.RUNNING
        assert fake.starts(job.name) == 1

    def test_cancelled_before_its_execution_is_never_started(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        fake.slow_start = True
        job = self.make_job(1)
        handle = cloud_run.push(job)
        cloud_run.cancel(handle)
        assert fake.leftovers() == []
        assert self.see(cloud_run, job, handle).status is Status.LOST
        assert fake.starts(job.name) == 0

    def test_cancel_that_is_refused_for_another_reason_says_so(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        job = self.make_job(1)
        handle = cloud_run.push(job)
        fake.begin(job.name)
        fake.refuse_next(Refusal(StatusCode.FAILED_PRECONDITION, "not just now"), "Cancel")
        with pytest.raises(Uncertain, match="not just now"):
            cloud_run.cancel(handle)

    def test_job_that_is_being_deleted_is_lost(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        fake.slow_start = True
        job = self.make_job(1)
        handle = cloud_run.push(job)
        held = fake.of(job.name)
        held.job.delete_time = held.job.create_time
        assert self.see(cloud_run, job, handle).status is Status.LOST


class TestMany(CloudRunSuite):
    def _push(self, cloud_run: CloudRun, count: int) -> list[Watched]:
        jobs = [self.make_job(n) for n in range(count)]
        return [Watched(cloud_run.push(job), job.run_id, job.attempt) for job in jobs]

    def test_many_are_observed_by_one_list(self, cloud_run: CloudRun, fake: FakeCloudRun) -> None:
        watched = self._push(cloud_run, 12)
        fake.finish(self.make_job(3).name, 0)
        fake.finish(self.make_job(4).name, 7)
        before = len(fake.received)
        seen = {o.run_id: o for o in cloud_run.observe(watched)}
        assert fake.received[before:] == ["ListExecutions", "ListTasks"]
        ends = {o.run_id: o.exit_code for o in seen.values() if o.status is Status.ENDED}
        assert ends == {self.make_job(3).run_id: 0, self.make_job(4).run_id: 7}
        assert len(seen) == 12

    def test_what_is_on_no_page_is_asked_for_by_its_name(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        watched = self._push(cloud_run, 12)
        fake.page = 2
        before = len(fake.received)
        seen = cloud_run.observe(watched)
        assert {o.status for o in seen} == {Status.STARTING}
        received = fake.received[before:]
        assert (received.count("ListExecutions"), received.count("GetExecution")) == (3, 6)

    def test_region_that_cannot_be_listed_is_asked_one_by_one(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        watched = [*self._push(cloud_run, 9), Watched("nonsense", "contract.x", 1)]
        fake.refuse_next(Refusal(StatusCode.PERMISSION_DENIED, "no list"), "ListExecutions")
        seen = cloud_run.observe(watched)
        assert [o.status for o in seen] == [Status.STARTING] * 9 + [Status.LOST]


class TestLogs(CloudRunSuite):
    def test_json_lines_are_shown_by_their_message(
        self, cloud_run: CloudRun, fake: FakeCloudRun
    ) -> None:
        job = self.make_job(1)
        handle = cloud_run.push(job)
        fake.logging.write(job.name, f"{job.name}-run", {"message": "two\nlines", "n": 1})
        fake.logging.write(job.name, f"{job.name}-run", {"n": 2})
        fake.logging.write(job.name, f"{job.name}-other", "somebody else's")
        assert list(cloud_run.logs(handle)) == ["two", "lines", '{"n": 2}']

    def test_logs_outlive_the_job(self, cloud_run: CloudRun, fake: FakeCloudRun) -> None:
        job = self.make_job(1)
        handle = cloud_run.push(job)
        fake.write_log(job.name, "still here")
        fake.finish(job.name, 0)
        cloud_run.clean_up(handle)
        assert list(cloud_run.logs(handle)) == ["still here"]

    def test_refusals_say_what_to_do_next(self, cloud_run: CloudRun, fake: FakeCloudRun) -> None:
        handle = cloud_run.push(self.make_job(1))
        fake.logging.throttle_next()
        with pytest.raises(Throttled) as throttled:
            list(cloud_run.logs(handle))
        assert throttled.value.after_seconds == 17
        denied = Answer(403, {"error": {"message": "no view"}})
        fake.logging.refuse_next(denied)
        with pytest.raises(Uncertain, match="no view") as caught:
            list(cloud_run.logs(handle))
        assert caught.value.reason == "access_denied"
        with pytest.raises(Uncertain):
            list(CloudRun(NOWHERE).logs(handle))


class TestPatience(CloudRunSuite):
    def test_slow_reply_is_uncertain_and_settled_by_name(self, fake: FakeCloudRun) -> None:
        hasty = CloudRun(fake.environ())
        job = self.make_job(1)
        assert hasty.find(job) is None  # the connection is open
        hasty._clients._read_seconds = 1
        fake.slow_next("CreateJob", 30)
        with pytest.raises(Uncertain) as caught:
            hasty.push(job)
        assert caught.value.reason == "push_uncertain"
        assert self.connect(fake).find(job) is not None
        assert fake.starts(job.name) == 1

    def test_unreachable_platform_is_told_from_a_lost_reply(self) -> None:
        with pytest.raises(Uncertain) as caught:
            self.disconnected().push(self.make_job(1))
        assert caught.value.reason == "platform_unavailable"

    def test_connection_of_a_function_that_was_frozen_is_replaced(self, fake: FakeCloudRun) -> None:
        now = [1000.0]
        port = int(fake.environ()[ENDPOINT].rpartition(":")[2])
        with Relay(port) as relay:
            environ = fake.environ(**{ENDPOINT: f"http://127.0.0.1:{relay.port}"})
            cloud_run = CloudRun(environ, clock=lambda: now[0], read_seconds=5)
            cloud_run.push(self.make_job(0))
            now[0] += 59
            cloud_run.push(self.make_job(1))
            assert len(set(fake.peers)) == 1, "a connection that is in use is kept"
            # Often: a new channel shared the old one's connection, now and then.
            for n in range(2, 42):
                now[0] += 61
                relay.silence()
                cloud_run.push(self.make_job(n))
