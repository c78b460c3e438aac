# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Does the Coiled platform keep its promises, over HTTP on loopback?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.base import Status
from push_dispatch.platforms.coiled import ERRORS, Coiled
from push_dispatch.platforms.refusals import judge
from push_dispatch.ports.secrets import Secret
from push_dispatch.testing.platform_contract import PlatformContract
from push_dispatch.testing.platform_suite import PlatformSuite
from tests.fakes.coiled import WORKSPACE, FakeCoiled, refusal, variables
from tests.fakes.rest_server import Answer


class CoiledSuite(PlatformSuite):
    platform_type = "coiled:push"
    variables: ClassVar[dict[str, Any]] = variables()

    @pytest.fixture
    def fake(self) -> Iterator[FakeCoiled]:
        with FakeCoiled() as fake:
            yield fake

    def connect(self, fake: FakeCoiled) -> Coiled:
        return Coiled(fake.environ())

    def disconnected(self) -> Coiled:
        return Coiled({"DASK_COILED__SERVER": "http://127.0.0.1:1", "DASK_COILED__TOKEN": "t-1"})

    def without_credentials(self, fake: FakeCoiled) -> Coiled:
        return Coiled({"DASK_COILED__SERVER": fake.url})

    def unknown_handle(self, fake: FakeCoiled) -> str:
        return f"{WORKSPACE}/clusters/404"

    @pytest.fixture
    def coiled(self, fake: FakeCoiled) -> Coiled:
        return self.connect(fake)


class TestCoiled(CoiledSuite, PlatformContract):
    """The contract of all platforms."""


class TestRequests(CoiledSuite):
    def cluster(self, coiled: Coiled, fake: FakeCoiled, **configuration: Any) -> Any:
        coiled.push(self.make_job(1, **configuration))
        [cluster] = fake.clusters.values()
        return cluster

    def test_the_command_arrives_as_it_was_meant(self, coiled: Coiled, fake: FakeCoiled) -> None:
        job = self.make_job(1)
        coiled.push(job)
        mark = f"PUSH_DISPATCH_ATTEMPT={job.name}"
        assert fake.words(job.name) == ["env", mark, "python", "-m", "etl", "a b"]

    def test_an_image_runs_beside_a_small_environment(
        self, coiled: Coiled, fake: FakeCoiled
    ) -> None:
        cluster = self.cluster(coiled, fake, region="us-east-1")
        assert cluster["extra_user_container"] == "job:1"
        assert cluster["workers"] == 0
        zones = {"multizone": True, "multizone_allow_cross_zone": True}
        assert cluster["options"] == {"region_name": "us-east-1"} | zones
        assert {cluster["env_name"]} == fake.software

    def test_a_software_environment_needs_no_image(self, coiled: Coiled, fake: FakeCoiled) -> None:
        cluster = self.cluster(coiled, fake, image=None, software="team-software")
        assert (cluster["env_name"], cluster["extra_user_container"]) == ("team-software", None)
        assert fake.software == set()

    @pytest.mark.parametrize(
        ("wanted", "machines"),
        [
            ({}, None),
            ({"vm_types": ["m6i.large", "m5.large"], "cpu": 64}, ["m6i.large", "m5.large"]),
            ({"cpu": 2}, ["m6i.large"]),
            ({"cpu": "2"}, ["m6i.large"]),
            ({"cpu": 2, "memory": "4GB"}, ["c6i.large"]),
            ({"cpu": 4}, ["m6i.xlarge"]),
            ({"cpu": "2-4"}, ["m6i.large", "m6i.xlarge"]),
            ({"cpu": [2, 4], "memory": "8GB-17GB"}, ["m6i.large", "m6i.xlarge"]),
            ({"memory": "32GB"}, ["m6i.2xlarge"]),
            ({"cpu": 4, "arm": True}, ["m7g.xlarge"]),
            ({"gpu": True}, ["g4dn.xlarge"]),
        ],
    )
    def test_machines_are_named_or_found(
        self,
        coiled: Coiled,
        fake: FakeCoiled,
        wanted: dict[str, Any],
        machines: list[str] | None,
    ) -> None:
        assert self.cluster(coiled, fake, **wanted)["scheduler_instance_types"] == machines

    def test_secrets_are_secret(self, coiled: Coiled, fake: FakeCoiled) -> None:
        job = replace(self.make_job(1), secrets={"PASSWORD": Secret("db", "", lambda: "hunter2")})
        coiled.push(job)
        [spec] = fake.requests(job.name)
        assert spec["secret_env_vars"]["PASSWORD"] == "hunter2"
        assert "hunter2" not in str(spec["env_vars"])

    def test_the_environment_is_secret_as_with_coileds_own_worker(
        self, coiled: Coiled, fake: FakeCoiled
    ) -> None:
        env = {"API_KEY": "k", "ON": True, "GONE": None}
        job = self.make_job(1, env=env, additional_coiled_options={"env": {"SEEN": 1}})
        coiled.push(job)
        [spec] = fake.requests(job.name)
        assert spec["env_vars"] == {"SEEN": "1"}
        assert spec["secret_env_vars"] == {"API_KEY": "k", "ON": "true"}

    def test_further_options_are_those_of_batch_run(self, coiled: Coiled, fake: FakeCoiled) -> None:
        options = {
            "spot_policy": "spot_with_fallback",
            "ignore_container_entrypoint": True,
            "disk_size": "100GB",
            "tag": {"cost": "etl", "empty": ""},
            "allow_cross_zone": False,
            "options": {"zone_name": "a"},
        }
        cluster = self.cluster(coiled, fake, additional_coiled_options=options)
        assert cluster["options"] == {
            "spot": True,
            "spot_on_demand_fallback": True,
            "zone_name": "a",
        }
        assert cluster["extra_user_container_ignore_entrypoint"] is True
        assert cluster["scheduler_disk_size"] == 94
        assert cluster["tags"]["cost"] == "etl"
        assert "empty" not in cluster["tags"]
        assert "spot_policy" not in cluster

    def test_an_arm_machine_has_an_environment_of_its_architecture(
        self, coiled: Coiled, fake: FakeCoiled
    ) -> None:
        cluster = self.cluster(coiled, fake, arm=True, cpu=4)
        assert fake.architectures == {cluster["env_name"]: "aarch64"}

    def test_a_gpu_on_google_cloud_is_attached(self, fake: FakeCoiled) -> None:
        coiled = Coiled(fake.environ() | {"PUSH_DISPATCH_COILED_BACKEND": "gcp"})
        options = self.cluster(coiled, fake, gpu=True, vm_types="n1-standard-4")["options"]
        assert options["scheduler_accelerator_type"] == "nvidia-tesla-t4"

    @pytest.mark.parametrize(
        ("configuration", "words"),
        [
            ({"workspace": None}, "no workspace"),
            ({"image": None}, "no image"),
            ({"command": ""}, "no command"),
            ({"memory": "lots"}, "memory is 'lots'"),
            ({"memory": "8GB-"}, "memory is ''"),
            ({"cpu": 1000}, "has no balanced machine"),
            ({"cpu": "two"}, "cpu is 'two'"),
            (
                {"additional_coiled_options": {"ntasks": 4}},
                "additional_coiled_options.ntasks has no",
            ),
            ({"additional_coiled_options": {"spot_policy": "cheap"}}, "spot_policy is 'cheap'"),
            ({"additional_coiled_options": {"disk_size": "big"}}, "disk_size is 'big'"),
            ({"additional_coiled_options": "spot"}, "is not an object"),
            ({"labels": ["a"]}, "labels is not an object"),
        ],
    )
    def test_what_cannot_run_is_refused_and_nothing_started(
        self, coiled: Coiled, fake: FakeCoiled, configuration: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(Rejected, match=words) as caught:
            coiled.push(self.make_job(1, **configuration))
        assert caught.value.reason == "template_invalid"
        assert fake.clusters == {}

    def test_without_a_token_it_says_what_to_set(self) -> None:
        with pytest.raises(Rejected, match="PUSH_DISPATCH_COILED_TOKEN_NAME") as caught:
            Coiled({}).push(self.make_job(1))
        assert caught.value.reason == "credentials_missing"

    def test_sign_in_looks_into_the_workspace_that_is_named(
        self, coiled: Coiled, fake: FakeCoiled
    ) -> None:
        assert coiled.sign_in() == "signed in to Coiled as runner"
        mine = fake.environ() | {"DASK_COILED__WORKSPACE": WORKSPACE}
        reported = Coiled(mine).sign_in()
        assert reported == f"signed in to Coiled as runner, in the workspace {WORKSPACE}"
        with pytest.raises(Rejected, match="not a member") as caught:
            Coiled(mine | {"DASK_COILED__WORKSPACE": "theirs"}).sign_in()
        assert caught.value.reason == "access_denied"

    def test_sign_in_at_what_is_not_coiled_is_final(self, coiled: Coiled, fake: FakeCoiled) -> None:
        fake.refuse_next(refusal(404, "", "Not found."))
        with pytest.raises(Rejected):
            coiled.sign_in()

    def test_a_running_cluster_of_the_name_is_adopted_and_never_deleted(
        self, coiled: Coiled, fake: FakeCoiled
    ) -> None:
        """Coiled's own client deletes it."""
        job = self.make_job(1)
        handle = coiled.push(job)
        fake.refuse_next(refusal(404, "", "Not found."), "GET", "/name/")
        assert coiled.push(job) == handle
        assert fake.starts(job.name) == 1
        assert fake.leftovers() == [job.name]


#: The answer to the cluster's creation -> what is raised, why.
DOCUMENTED = [
    (refusal(400, "NO_CLOUD_SETUP", "Set up a cloud"), Rejected, "platform_not_configured"),
    (refusal(402, "", "The workspace has reached its spending limit"), Rejected, "platform_rejected"),
    (refusal(400, "", "worker_cpu should be at least 2"), Rejected, "platform_rejected"),
    (refusal(403, "", "The workspace's core limit would be exceeded"), NoCapacity, "no_capacity"),
    (refusal(401, "", "Invalid token."), Rejected, "access_denied"),
    (refusal(403, "PERMISSIONS", "You may not create clusters"), Rejected, "access_denied"),
    (refusal(404, "", "Not found."), Rejected, "platform_rejected"),
    (refusal(413, "", "Request body too large"), Rejected, "overrides_too_long"),
    (refusal(422, "", "region is unknown"), Rejected, "platform_rejected"),
    (refusal(429, "", "Request was throttled."), Throttled, "platform_throttled"),
    (Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}), Uncertain, "push_uncertain"),
    (refusal(500, "", "Server error"), Uncertain, "push_uncertain"),
]  # fmt: skip


#: Whether the task has begun, the cluster's state and its reason -> what is told, whether again.
CLUSTERS = [
    (True, "error", "the machine has vanished", "infrastructure_failure", True),
    (False, "error", "No capacity for m6i", "no_capacity", True),
    (False, "error", "Insufficient quota for instances", "no_capacity", True),
    (False, "error", "Container image acme/quota/spot not found", "image_pull_failed", False),
    (True, "stopped", "Spot instance was interrupted", "spot_interruption", True),
    (True, "stopped", "Stopped by user", "stopped_on_request", True),
    (True, "stopped", "", "stopped_on_request", True),
    (True, "stopped", "Scheduler was idle", "infrastructure_failure", True),
]  # fmt: skip


class TestTables(CoiledSuite):
    @pytest.mark.parametrize(("answer", "error", "reason"), DOCUMENTED)
    def test_each_refusal_has_its_reaction_and_reason(
        self,
        coiled: Coiled,
        fake: FakeCoiled,
        answer: Answer,
        error: type[PlatformError],
        reason: str,
    ) -> None:
        fake.refuse_next(answer, "POST", "/clusters/")
        with pytest.raises(error) as caught:
            coiled.push(self.make_job(1))
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert fake.clusters == {}

    def test_each_row_is_reached_and_its_reason_is_known(self) -> None:
        texts = [(a.status, str(a.body)) for a, _, _ in DOCUMENTED]
        assert {judge(ERRORS, status, text) for status, text in texts} == set(ERRORS)
        assert {row.reason for row in ERRORS} <= set(REASONS)

    @pytest.mark.parametrize(("begun", "state", "why", "reason", "again"), CLUSTERS)
    def test_a_cluster_without_a_code_says_why(
        self,
        coiled: Coiled,
        fake: FakeCoiled,
        begun: bool,
        state: str,
        why: str,
        reason: str,
        again: bool,
    ) -> None:
        job = self.make_job(1)
        handle = coiled.push(job)
        if begun:
            fake.begin(job.name)
        fake.fail(job.name, why, state)
        seen = self.see(coiled, job, handle)
        assert (seen.status, seen.reason, seen.retryable) == (Status.ENDED, reason, again)
        assert seen.message is not None
        assert why in seen.message

    def test_a_task_in_error_is_over_whatever_the_job_says(
        self, coiled: Coiled, fake: FakeCoiled
    ) -> None:
        job = self.make_job(1)
        handle = coiled.push(job)
        fake.begin(job.name)
        fake.break_task(job.name)
        seen = self.see(coiled, job, handle)
        assert (seen.status, seen.reason) == (Status.ENDED, "infrastructure_failure")

    def test_one_that_somebody_stopped_says_so(self, coiled: Coiled, fake: FakeCoiled) -> None:
        job = self.make_job(1)
        handle = coiled.push(job)
        fake.begin(job.name)
        coiled.cancel(handle)
        seen = self.see(coiled, job, handle)
        assert (seen.status, seen.reason) == (Status.ENDED, "stopped_on_request")
