"""Which job is made of a configuration, of either version of the API?"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from google.api import launch_stage_pb2  # type: ignore[import-untyped]

from push_dispatch.core.errors import Rejected, Uncertain
from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.cloud_run import CloudRun
from push_dispatch.ports.secrets import Secret
from tests.contract.cloud_run_suite import CloudRunSuite
from tests.fakes.cloud_run import FakeCloudRun
from tests.fakes.cloud_run_service import LOCATION, PROJECT

if TYPE_CHECKING:
    from google.cloud import run_v2


class PushSuite(CloudRunSuite):
    """What arrives at Cloud Run for some job variables."""

    def job_with(self, **more: Any) -> Job:
        """A job with these job variables."""
        layers = [Layer("run", {**self.variables, **more})]
        configuration = dict(render(self.template(), layers).configuration)
        return replace(self.make_job(1), configuration=configuration)

    def pushed(self, fake: FakeCloudRun, job: Job) -> run_v2.Job:
        self.connect(fake).push(job)
        return fake.of(job.name).job

    def task(self, fake: FakeCloudRun, job: Job) -> run_v2.TaskTemplate:
        template: run_v2.TaskTemplate = self.pushed(fake, job).template.template
        return template


class BothVersions(PushSuite):
    def test_variables_arrive(self, fake: FakeCloudRun) -> None:
        job = self.job_with(
            cpu="2",
            memory="2Gi",
            command="python -c 'print(1)'",
            vpc_connector_name="net",
            service_account_name="runner@acme",
            timeout=1200,
        )
        task = self.task(fake, job)
        assert dict(task.containers[0].resources.limits) == {"cpu": "2", "memory": "2Gi"}
        assert list(task.containers[0].command) == ["python", "-c", "print(1)"]
        assert task.vpc_access.connector == "net"
        assert task.service_account == "runner@acme"
        assert task.timeout.total_seconds() == 1200

    def test_defaults_say_nothing_more(self, fake: FakeCloudRun) -> None:
        task = self.task(fake, self.make_job(1))
        assert "vpc_access" not in task
        assert (task.service_account, task.max_retries) == ("", 0)
        assert task.timeout.total_seconds() == 600

    def test_timeout_of_the_run_wins(self, fake: FakeCloudRun) -> None:
        job = replace(self.make_job(1), timeout_seconds=7200)
        assert self.task(fake, job).timeout.total_seconds() == 7200
        endless = replace(self.make_job(2), timeout_seconds=10_000_000)
        assert self.task(fake, endless).timeout.total_seconds() == 604_800

    def test_labels_are_what_google_takes(self, fake: FakeCloudRun) -> None:
        labels = {"prefect.io/Flow-Name": "Größe & mehr", "1st": "x" * 80, "!": "no letter"}
        made = self.pushed(fake, self.job_with(labels=labels))
        expected = {"prefect-io-flow-name": "gr-e-mehr", "st": "x" * 63}
        assert dict(made.labels) == dict(made.template.labels) == expected

    def test_job_and_execution_say_whose_they_are(self, fake: FakeCloudRun) -> None:
        job = replace(self.make_job(1), run_id="Some_Pool.0199", attempt=3)
        made = self.pushed(fake, job)
        ours = {"push-dispatch/run": "Some_Pool.0199", "push-dispatch/attempt": "3"}
        assert dict(made.annotations) == dict(made.template.annotations) == ours

    def test_somebody_elses_job_is_not_adopted(self, fake: FakeCloudRun) -> None:
        cloud_run = self.connect(fake)
        job = self.make_job(1)
        cloud_run.push(job)
        other = replace(job, run_id="other.0199")
        with pytest.raises(Rejected, match="another owner"):
            cloud_run.push(other)
        with pytest.raises(Uncertain, match="another owner"):
            cloud_run.find(other)

    def test_secrets_of_secret_manager_win(self, fake: FakeCloudRun) -> None:
        job = self.job_with(
            env={"PREFECT_API_KEY": "pnu_plain", "PLAIN": "1", "GONE": None},
            prefect_api_key_secret={"secret": "key", "version": "3"},
        )
        entries = {entry.name: entry for entry in self.task(fake, job).containers[0].env}
        reference = entries.pop("PREFECT_API_KEY").value_source.secret_key_ref
        assert (reference.secret, reference.version) == ("key", "3")
        assert {name: entry.value for name, entry in entries.items()} == {"PLAIN": "1"}

    def test_cloud_run_reads_secrets_of_its_own_store(self, fake: FakeCloudRun) -> None:
        def unreadable() -> str:
            raise KeyError("not in the store of push-dispatch")

        path = "projects/acme/secrets/db"
        secrets = {
            "A": Secret(path, "", unreadable),
            "B": Secret(f"{path}/versions/3", "", unreadable),
            "C": Secret("db", "", lambda: "hunter2"),
        }
        job = replace(self.job_with(env={"PLAIN": "1"}), secrets=secrets)
        entries = {entry.name: entry for entry in self.task(fake, job).containers[0].env}
        named = {n: entries.pop(n).value_source.secret_key_ref for n in ("A", "B")}
        assert {n: (r.secret, r.version) for n, r in named.items()} == {
            "A": (path, "latest"),
            "B": (path, "3"),
        }
        assert {name: entry.value for name, entry in entries.items()} == {
            "PLAIN": "1",
            "C": "hunter2",
        }

    def test_project_is_found_where_it_is_said(self, fake: FakeCloudRun) -> None:
        unsaid = self.job_with(project=None)
        with pytest.raises(Rejected, match="project") as caught:
            self.connect(fake).push(unsaid)
        assert caught.value.reason == "template_invalid"
        message = CloudRun(fake.environ(GOOGLE_CLOUD_PROJECT=PROJECT)).push(unsaid)
        for credentials in (
            {"project": PROJECT},
            {"service_account_info": {"project_id": PROJECT}},
        ):
            job = self.job_with(project=None, credentials=credentials)
            assert self.connect(fake).push(job) == message
        assert message.startswith(f"projects/{PROJECT}/locations/{LOCATION}/jobs/")

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"image": None}, "image"),
            ({"command": "echo 'open"}, "command"),
            ({"region": "us/../central1"}, "region"),
        ],
    )
    def test_bad_variable_is_named(
        self, fake: FakeCloudRun, more: dict[str, Any], expected: str
    ) -> None:
        with pytest.raises(Rejected, match=expected) as caught:
            self.connect(fake).push(self.job_with(**more))
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0

    def test_numbers_are_taken_as_quantities(self, fake: FakeCloudRun) -> None:
        limits = self.task(fake, self.job_with(cpu=2)).containers[0].resources.limits
        assert limits["cpu"] == "2"

    @pytest.mark.parametrize(
        "container",
        [
            {"image": "x", "env": [{"value": "1"}]},
            {"image": "x", "env": "A=1"},
            {"image": "x", "command": 3},
            {"image": "x", "resources": ["2"]},
            {"image": "x", "resources": {"limits": "2"}},
            {"image": ["x"]},
            "x",
        ],
    )
    def test_container_of_another_shape_is_refused(
        self, fake: FakeCloudRun, container: Any
    ) -> None:
        task = {"containers": [container]}
        bodies: tuple[Any, ...] = (
            {"template": {"template": task}},
            {"spec": {"template": {"spec": {"template": {"spec": task}}}}},
        )
        for body in bodies:
            with pytest.raises(Rejected, match=r"job_body|image|limits") as caught:
                self.connect(fake).push(self.make_job(1, job_body=body))
            assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0

    @pytest.mark.parametrize("body", [None, "text", {}, {"template": 3}, {"spec": {"template": 3}}])
    def test_body_that_is_no_job_is_refused(self, fake: FakeCloudRun, body: Any) -> None:
        with pytest.raises(Rejected) as caught:
            self.connect(fake).push(self.make_job(1, job_body=body))
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0
        assert self.connect(fake).estimate_cost({"job_body": body}, 60) is None

    def test_price_is_that_of_cpu_and_memory(self) -> None:
        job = self.job_with(cpu="2000m", memory="4Gi")
        hour = CloudRun({}).estimate_cost(job.configuration, 3600)
        assert hour == pytest.approx(3600 * (2 * 0.000018 + 4 * 0.000002))
        minute, second = (CloudRun({}).estimate_cost(job.configuration, s) for s in (60, 1))
        assert minute == second


class TestV2(BothVersions):
    def test_what_only_the_second_version_has(self, fake: FakeCloudRun) -> None:
        job = self.job_with(
            args=["--fast", "yes"],
            env_from_secrets={"TOKEN": {"secret": "token", "version": "latest"}},
            cloudsql_instances=["acme:us-central1:db"],
            launch_stage="GA",
            max_retries=3,
        )
        made = self.pushed(fake, job)
        task = made.template.template
        assert list(task.containers[0].args) == ["--fast", "yes"]
        [entry] = task.containers[0].env
        assert entry.value_source.secret_key_ref.secret == "token"
        assert list(task.volumes[0].cloud_sql_instance.instances) == ["acme:us-central1:db"]
        assert task.containers[0].volume_mounts[0].mount_path == "/cloudsql"
        assert made.launch_stage == launch_stage_pb2.GA
        # A second try of Cloud Run's own would run the code again, unseen.
        assert task.max_retries == 0

    def test_template_of_a_push_pool_is_taken_as_it_is(self, fake: FakeCloudRun) -> None:
        job = self.job_with()
        configuration = copy.deepcopy(dict(job.configuration))
        task = configuration["job_body"]["template"]["template"]
        for connector, expected in (("net", "net"), (None, "")):
            task["vpcAccess"] = connector
            job = replace(self.make_job(len(expected)), configuration=configuration)
            assert self.task(fake, job).vpc_access.connector == expected

    def test_field_that_is_unknown_is_named(self, fake: FakeCloudRun) -> None:
        configuration = copy.deepcopy(dict(self.job_with().configuration))
        configuration["job_body"]["template"]["paralelism"] = 1
        with pytest.raises(Rejected, match="paralelism") as caught:
            self.connect(fake).push(replace(self.make_job(1), configuration=configuration))
        assert caught.value.reason == "template_invalid"

    def test_gpu_is_a_variable(self, fake: FakeCloudRun) -> None:
        task = self.task(fake, self.job_with(gpu_type="nvidia-l4", cpu="4", memory="16Gi"))
        assert task.node_selector.accelerator == "nvidia-l4"
        assert task.gpu_zonal_redundancy_disabled
        assert task.containers[0].resources.limits["nvidia.com/gpu"] == "1"

    def test_sidecar_listed_first_does_not_get_the_command(self, fake: FakeCloudRun) -> None:
        proxy = {"name": "proxy", "image": "gcr.io/cloudsql-docker/proxy"}
        main = {"name": "etl", "image": "acme/etl", "command": "python -m etl"}
        body = {"template": {"template": {"containers": [proxy, main]}}}
        job = self.make_job(1, job_body=body, command="python -m etl", env={"A": "1"})
        first, second = self.task(fake, job).containers
        assert (list(first.command), list(first.env)) == ([], [])
        assert list(second.command) == ["python", "-m", "etl"]
        assert "A" in [entry.name for entry in second.env]

    def test_environment_that_is_no_text_is_json(self, fake: FakeCloudRun) -> None:
        env = {"T": True, "O": {"x": 1}, "N": 2, "GONE": None}
        [container] = self.task(fake, self.make_job(1, env=env)).containers
        values = {entry.name: entry.value for entry in container.env}
        assert values == {"T": "true", "O": '{"x": 1}', "N": "2"}

    def test_reference_that_is_no_object_is_named(self, fake: FakeCloudRun) -> None:
        job = self.make_job(1, prefect_api_key_secret="k")
        with pytest.raises(Rejected, match="PREFECT_API_KEY must be an object") as caught:
            self.connect(fake).push(job)
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0

    def test_gpu_has_no_price_here(self) -> None:
        configuration = copy.deepcopy(dict(self.job_with().configuration))
        task = configuration["job_body"]["template"]["template"]
        task["nodeSelector"] = {"accelerator": "nvidia-l4"}
        assert CloudRun({}).estimate_cost(configuration, 60) is None


class TestV2Push(TestV2):
    platform_type = "cloud-run-v2:push"


class TestV1(BothVersions):
    platform_type = "cloud-run"

    #: What a V1 body may say besides, and where it is in the job of the second version.
    annotations: ClassVar[Mapping[str, str]] = {
        "run.googleapis.com/vpc-access-connector": "net",
        "run.googleapis.com/vpc-access-egress": "private-ranges-only",
        "run.googleapis.com/cloudsql-instances": "acme:us:one, acme:us:two",
        "run.googleapis.com/execution-environment": "gen2",
        "run.googleapis.com/client-name": "gcloud",
        "example.com/team": "data",
    }

    def _body(self, **more: Any) -> dict[str, Any]:
        container = {
            "image": "busybox",
            "command": ["sh", "-c"],
            "args": "'exit 0'",
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "b", "key": "2"}}},
            ],
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "volumeMounts": [{"name": "s", "mountPath": "/s"}],
        }
        items = [{"key": "latest", "path": "file"}]
        volumes = [
            {"name": "s", "secret": {"secretName": "s", "items": items}},
            {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        ]
        task = {"containers": [container], "volumes": volumes, "maxRetries": 3, **more}
        return {
            "apiVersion": "run.googleapis.com/v1",
            "kind": "Job",
            "metadata": {"name": "mine", "labels": {"team": "data"}},
            "spec": {
                "template": {
                    "metadata": {"annotations": dict(self.annotations)},
                    "spec": {"taskCount": 2, "parallelism": 1, "template": {"spec": task}},
                }
            },
        }

    def test_body_of_the_first_version_becomes_one_of_the_second(self, fake: FakeCloudRun) -> None:
        made = self.pushed(fake, self.make_job(1, job_body=self._body(), env={"A": "run"}))
        task, container = made.template.template, made.template.template.containers[0]
        assert (made.template.task_count, made.template.parallelism) == (2, 1)
        assert (list(container.command), list(container.args)) == (["sh", "-c"], ["exit 0"])
        assert dict(container.resources.limits) == {"cpu": "1", "memory": "1Gi"}
        assert [(entry.name, entry.value) for entry in container.env] == [("A", "run"), ("B", "")]
        assert container.env[1].value_source.secret_key_ref.version == "2"
        assert {mount.name: mount.mount_path for mount in container.volume_mounts} == {
            "s": "/s",
            "cloudsql": "/cloudsql",
        }
        secret, scratch, sql = task.volumes
        assert (secret.secret.secret, secret.secret.items[0].version) == ("s", "latest")
        assert (scratch.empty_dir.size_limit, scratch.empty_dir.medium) == ("1Gi", 1)
        assert list(sql.cloud_sql_instance.instances) == ["acme:us:one", "acme:us:two"]
        assert (task.vpc_access.connector, task.vpc_access.egress) == ("net", 2)
        assert (task.execution_environment, task.max_retries) == (2, 0)
        assert made.annotations["example.com/team"] == "data"
        assert dict(made.labels) == {"team": "data"}

    def test_what_has_no_place_in_the_second_version_is_named(self, fake: FakeCloudRun) -> None:
        nfs = self._body(volumes=[{"name": "share", "nfs": {"server": "10.0.0.1"}}])
        unknown, broken = self._body(), self._body()
        unknown["metadata"]["annotations"] = {"run.googleapis.com/novel": "x"}
        broken["metadata"]["annotations"] = {"run.googleapis.com/network-interfaces": "[{"}
        for body, named in (
            (nfs, "share"),
            (unknown, "run.googleapis.com/novel"),
            (broken, "network-interfaces"),
        ):
            with pytest.raises(Rejected, match=named) as caught:
                self.connect(fake).push(self.make_job(1, job_body=body))
            assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0


class TestV1Push(TestV1):
    platform_type = "cloud-run:push"
