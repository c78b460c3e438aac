# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
from __future__ import annotations

import pytest

from push_dispatch.platforms.aci import Aci
from push_dispatch.platforms.base import Status, Watched
from tests.contract.aci_suite import AciSuite
from tests.fakes.aci import FakeAci
from tests.fakes.aci_service import failure

LONG_AGO = "2020-01-01T00:00:00.1234567Z"
SOON = "2999-01-01T00:00:00Z"


class TestEnds(AciSuite):
    """What is seen of a process that did not simply exit."""

    @pytest.mark.parametrize(
        ("exit_code", "detail", "reason"),
        [
            (137, "OOMKilled", "out_of_memory"),
            (137, "Error", None),
            (127, 'exec: "nope": executable file not found in $PATH', "command_not_found"),
            (1, "no such file or directory", None),
            (3, "OOMKilled", None),
            (3, 'exec: "nope": executable file not found in $PATH', None),
            (127, "Error", None),
            (0, "OOMKilled", None),
            (137, "see https://oom-killed.dev/out of memory", None),
            (0, "Completed", None),
        ],
    )
    def test_exit_code_comes_with_its_reason(
        self, aci: Aci, fake: FakeAci, exit_code: int, detail: str, reason: str | None
    ) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.finish(job.name, exit_code, detail)
        end = self.see(aci, job, handle)
        assert (end.status, end.exit_code, end.reason) == (Status.ENDED, exit_code, reason)
        assert end.retryable == (reason != "command_not_found")
        assert end.started_at is not None
        assert end.ended_at is not None
        assert end.started_at <= end.ended_at

    def test_process_that_azure_starts_again_is_stopped_with_its_first_end(
        self, aci: Aci, fake: FakeAci
    ) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.restart(job.name, 3)
        for _ in range(2):
            end = self.see(aci, job, handle)
            assert (end.status, end.exit_code, end.reason) == (Status.ENDED, 3, None)
        stops = [request for request in fake.received if request.path.endswith("/stop")]
        assert len(stops) == 1
        assert fake.groups[job.name].state == "Stopped"

    def test_end_is_not_told_while_the_process_cannot_be_stopped(
        self, aci: Aci, fake: FakeAci
    ) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.restart(job.name, 3)
        fake.refuse_next(failure(503, "ServiceUnavailable", "busy"), "POST")
        assert self.see(aci, job, handle).status is Status.UNKNOWN
        assert self.see(aci, job, handle).status is Status.ENDED

    def test_spot_capacity_that_is_taken_back_is_told(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.preempt(job.name)
        end = self.see(aci, job, handle)
        assert (end.status, end.reason, end.retryable) == (Status.ENDED, "spot_interruption", True)

    def test_group_that_somebody_stops_is_told(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.begin(job.name)
        aci.cancel(handle)
        end = self.see(aci, job, handle)
        assert (end.status, end.exit_code, end.reason) == (
            Status.ENDED,
            None,
            "stopped_on_request",
        )

    def test_sidecar_says_nothing_of_the_attempt(self, aci: Aci, fake: FakeAci) -> None:
        template = self.configuration()["arm_template"]
        [resource] = template["resources"]
        properties = resource["properties"]
        size = {"requests": {"cpu": 1.0, "memoryInGB": 1.0}}
        own = {"image": "acme/proxy", "resources": size, "environmentVariables": []}
        sidecar = {"name": "proxy", "properties": {**own, "command": ["proxy"]}}
        listed = [sidecar, *properties["containers"]]
        resource = {**resource, "properties": {**properties, "containers": listed}}
        job = self.make_job(1, arm_template={**template, "resources": [resource]})
        handle = aci.push(job)
        group = fake.groups[job.name]
        group.main = 1
        first, second = group.body["properties"]["containers"]
        assert first["properties"] == sidecar["properties"]
        assert second["properties"]["command"]
        fake.begin(job.name)
        assert self.see(aci, job, handle).status is Status.RUNNING
        fake.write_log(job.name, "of the job")
        assert list(aci.logs(handle)) == ["of the job"]
        fake.finish(job.name, 7)
        assert self.see(aci, job, handle).exit_code == 7

    @pytest.mark.parametrize(
        ("message", "kind", "reason"),
        [
            ("Error: Failed to start container aci-x, Error response: to create containerd task: failed to create container", "Normal", "infrastructure_failure"),
            ("Failed to mount Azure File Volume", "Warning", "infrastructure_failure"),
            ('Error: Failed to start container aci-x: exec: "nope": executable file not found in $PATH', "Normal", "command_not_found"),
        ],
    )  # fmt: skip
    def test_container_that_never_starts_ends_the_attempt(
        self, aci: Aci, fake: FakeAci, message: str, kind: str, reason: str
    ) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.fail_to_start(job.name, message, kind, since=SOON)
        assert self.see(aci, job, handle).status is Status.STARTING
        fake.fail_to_start(job.name, message, kind, since=LONG_AGO)
        end = self.see(aci, job, handle)
        assert (end.status, end.reason) == (Status.ENDED, reason)
        assert message in (end.message or "")

    def test_lack_of_capacity_is_told_whatever_the_kind_of_event(
        self, aci: Aci, fake: FakeAci
    ) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        message = "The requested resource is not available in the location 'uksouth'"
        fake.fail_creation(job.name, message)
        fake.groups[job.name].events[-1] |= {"type": "Normal", "name": "InsufficientCapacity."}
        end = self.see(aci, job, handle)
        assert (end.status, end.reason) == (Status.ENDED, "no_capacity")

    @pytest.mark.parametrize(
        ("message", "retryable"),
        [
            ('Failed to pull image "x": image x:latest not found', False),
            ('Failed to pull image "x": unauthorized: authentication required', False),
            ('Failed to pull image "x": i/o timeout', True),
        ],
    )
    def test_image_that_cannot_be_pulled_ends_the_attempt(
        self, aci: Aci, fake: FakeAci, message: str, retryable: bool
    ) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.wait_for_image(job.name, message, since=LONG_AGO)
        end = self.see(aci, job, handle)
        assert (end.status, end.reason) == (Status.ENDED, "image_pull_failed")
        assert end.retryable is retryable
        assert message in (end.message or "")
        assert fake.leftovers() == []  # it would have started once the image came

    def test_image_may_take_several_tries(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.wait_for_image(job.name, 'Failed to pull image "x": i/o timeout', since=SOON)
        seen = self.see(aci, job, handle)
        assert seen.status is Status.STARTING
        assert "i/o timeout" in (seen.message or "")
        fake.finish(job.name, 3)
        end = self.see(aci, job, handle)
        assert (end.status, end.exit_code, end.reason) == (Status.ENDED, 3, None)

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            ("insufficient capacity in the region", "no_capacity"),
            ("Failed to mount Azure File Volume", "infrastructure_failure"),
        ],
    )
    def test_creation_that_failed_goes_on_until_it_is_deleted(
        self, aci: Aci, fake: FakeAci, message: str, reason: str
    ) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        fake.fail_creation(job.name, message)
        end = self.see(aci, job, handle)
        assert (end.status, end.reason, end.message) == (Status.ENDED, reason, message)
        assert fake.groups[job.name].state == "Stopped"
        # Whoever looks next, because nobody could write that down, is told the same.
        again = self.see(aci, job, handle)
        assert (again.status, again.reason, again.message) == (Status.ENDED, reason, message)

    def test_many_are_asked_about_at_once(self, aci: Aci, fake: FakeAci) -> None:
        jobs = [self.make_job(n) for n in range(20)]
        watched = [Watched(aci.push(job), job.run_id, job.attempt) for job in jobs]
        for code, job in enumerate(jobs):
            fake.finish(job.name, code)
        seen = {end.run_id: end.exit_code for end in aci.observe(watched)}
        assert seen == {job.run_id: code for code, job in enumerate(jobs)}

    def test_groups_that_are_gone_or_no_groups_are_lost(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1)
        for handle in (self.unknown_handle(fake), "no resource id at all"):
            assert self.see(aci, job, handle).status is Status.LOST
            aci.cancel(handle)
            aci.clean_up(handle)
            assert list(aci.logs(handle)) == []
