# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""What is asked of ECS, what becomes of a push that is in doubt, and what each refusal means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import REASONS
from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.base import Status
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.adapter import TOKEN_SECONDS
from push_dispatch.ports.secrets import Secret
from tests.contract.ecs_suite import EcsSuite
from tests.fakes.ecs import FakeEcs
from tests.fakes.ecs_service import ACCOUNT, REGION, action_of

SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:push-dispatch/db-x1"


class TestTaskDefinitions(EcsSuite):
    def test_one_content_is_registered_once(self, ecs: Ecs, fake: FakeEcs) -> None:
        ecs.push(self.make_job(1))
        ecs.push(self.make_job(2))
        Ecs(fake.environ()).push(self.make_job(3))
        assert fake.actions().count("RegisterTaskDefinition") == 1

    def test_what_a_run_overrides_needs_no_other_definition(self, ecs: Ecs, fake: FakeEcs) -> None:
        ecs.push(self.make_job(1, env={"A": "1"}, command="echo one"))
        ecs.push(self.make_job(2, env={"A": "2"}, command="echo two"))
        assert fake.actions().count("RegisterTaskDefinition") == 1

    def test_another_image_is_another_definition(self, ecs: Ecs, fake: FakeEcs) -> None:
        jobs = [self.make_job(n) for n in (1, 2)]
        jobs[1].configuration["task_definition"]["containerDefinitions"][0]["image"] = "other"
        for job in jobs:
            ecs.push(job)
        images = [fake.task(j.name).definition["containerDefinitions"][0]["image"] for j in jobs]
        assert images == ["busybox", "other"]

    def test_one_that_somebody_deregistered_is_made_again(self, ecs: Ecs, fake: FakeEcs) -> None:
        ecs.push(self.make_job(1))
        for [revision] in fake.definitions.values():
            revision["status"] = "INACTIVE"
        ecs.push(self.make_job(2))
        assert fake.starts(self.make_job(2).name) == 1
        assert fake.actions().count("RegisterTaskDefinition") == 2


class TestRequests(EcsSuite):
    def received(self, ecs: Ecs, fake: FakeEcs, **configuration: Any) -> Any:
        job = self.make_job(1, **configuration)
        ecs.push(job)
        [request] = fake.requests(job.name)
        return request

    def test_the_attempt_is_the_request_token_and_started_by(self, ecs: Ecs, fake: FakeEcs) -> None:
        job = self.make_job(1)
        request = self.received(ecs, fake)
        assert request["clientToken"] == job.name
        run = job.run_id.partition(".")[2].replace("-", "")
        assert request["startedBy"] == f"pd/contract/{run}/1"

    def test_secrets_are_named_and_never_sent(self, ecs: Ecs, fake: FakeEcs) -> None:
        secret = Secret("db", SECRET, lambda: "hunter2")
        job = replace(
            self.make_job(1, env={"PASSWORD": "see the secret"}), secrets={"PASSWORD": secret}
        )
        ecs.push(job)
        assert fake.environment(job.name)["PASSWORD"] == f"value of {SECRET}"
        assert not any(b"hunter2" in request.body for request in fake.received)

    @pytest.mark.parametrize(("spare", "fits"), [(0, True), (-1, False)])
    def test_overrides_are_measured_as_ecs_does(
        self, ecs: Ecs, fake: FakeEcs, spare: int, fits: bool
    ) -> None:
        bare = self.received(ecs, fake, env={"BIG": ""})["overrides"]
        room = 8192 - len(json.dumps(bare, separators=(",", ":"), ensure_ascii=False))
        job = self.make_job(2, env={"BIG": "ü" * (room - spare)})
        if fits:
            ecs.push(job)
            assert fake.starts(job.name) == 1
            return
        before = fake.calls()
        with pytest.raises(Rejected, match="8192") as caught:
            ecs.push(job)
        assert caught.value.reason == "overrides_too_long"
        assert fake.calls() == before, "refused before anything was asked"

    def test_what_the_sdk_refuses_is_the_template_s_fault_and_names_the_field(
        self, ecs: Ecs, fake: FakeEcs
    ) -> None:
        job = self.make_job(1)
        container = job.configuration["task_definition"]["containerDefinitions"][0]
        container["mountPoints"] = {"sourceVolume": "x"}
        before = fake.calls()
        with pytest.raises(Rejected, match=r"containerDefinitions\[0\]\.mountPoints") as caught:
            ecs.push(job)
        assert caught.value.reason == "template_invalid"
        assert "RunTask" not in fake.actions()[before:]


class TestNamedDefinitions(EcsSuite):
    """What is asked for follows what the definition is made for, which only ECS knows."""

    def named(self, fake: FakeEcs, **definition: Any) -> str:
        containers = [{"name": n, "image": "i", "memory": 1} for n in ("datadog-agent", "prefect")]
        made = fake._RegisterTaskDefinition(
            {"family": "own", "containerDefinitions": containers, **definition}
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def push(self, ecs: Ecs, fake: FakeEcs, **variables: Any) -> Any:
        job = self.make_job(1)
        template = self.template()
        values = {**self.variables, **variables}
        configuration = render(template, [Layer("run", values)]).configuration
        ecs.push(replace(job, configuration=configuration))
        [request] = fake.requests(job.name)
        return request

    def test_the_command_is_for_the_container_called_prefect(self, ecs: Ecs, fake: FakeEcs) -> None:
        arn = self.named(fake, networkMode="awsvpc")
        request = self.push(ecs, fake, task_definition_arn=arn, cpu=1024, memory=2048)
        [override] = request["overrides"]["containerOverrides"]
        assert (override["name"], override["command"]) == ("prefect", ["echo", "hello"])

    def test_awsvpc_on_instances_gets_subnets(self, ecs: Ecs, fake: FakeEcs) -> None:
        arn = self.named(fake, networkMode="awsvpc")
        request = self.push(
            ecs, fake, task_definition_arn=arn, launch_type="EC2", network_configuration={}
        )
        network = request["networkConfiguration"]["awsvpcConfiguration"]
        assert network == {"subnets": ["subnet-a", "subnet-b"]}

    def test_bridge_takes_no_network(self, ecs: Ecs, fake: FakeEcs) -> None:
        arn = self.named(fake, networkMode="bridge")
        request = self.push(ecs, fake, task_definition_arn=arn, launch_type="EC2")
        assert "networkConfiguration" not in request

    def test_it_is_described_once(self, ecs: Ecs, fake: FakeEcs) -> None:
        arn = self.named(fake, networkMode="bridge")
        for n in (1, 2):
            job = self.make_job(n)
            request = {"taskDefinition": arn, "launchType": "EC2"}
            configuration = {**job.configuration, "task_run_request": request}
            ecs.push(replace(job, configuration=configuration))
        assert fake.actions().count("DescribeTaskDefinition") == 1


class TestDoubt(EcsSuite):
    """Sent again, found, or left in doubt; never started twice."""

    def test_a_token_that_was_used_with_another_request_names_the_task(
        self, ecs: Ecs, fake: FakeEcs
    ) -> None:
        job = self.make_job(1)
        handle = ecs.push(job)
        changed = replace(job, configuration=self.make_job(1, command="echo other").configuration)
        assert ecs.push(changed).partition("#")[0] == handle.partition("#")[0]
        assert fake.starts(job.name) == 1

    def test_an_old_attempt_is_looked_up_and_not_sent(self, fake: FakeEcs) -> None:
        job = self.make_job(1)
        handle = Ecs(fake.environ()).push(job)
        fake.finish(job.name, 0)
        later = job.claimed_at + (TOKEN_SECONDS + 1) * 1000
        old = Ecs(fake.environ(), clock=lambda: later)
        before = fake.actions().count("RunTask")
        assert old.push(job).partition("#")[0] == handle.partition("#")[0]
        with pytest.raises(Uncertain, match="not found"):
            old.push(self.make_job(2))
        assert fake.actions().count("RunTask") == before
        assert fake.starts(self.make_job(2).name) == 0

    def test_a_look_up_that_is_refused_proves_nothing(self, fake: FakeEcs) -> None:
        job = self.make_job(1)
        Ecs(fake.environ()).push(job)
        later = job.claimed_at + (TOKEN_SECONDS + 1) * 1000
        fake.fail_next("ListTasks", "AccessDeniedException")
        with pytest.raises(Uncertain) as caught:
            Ecs(fake.environ(), clock=lambda: later).push(job)
        assert caught.value.reason == "access_denied"

    def test_a_reply_that_takes_too_long_is_asked_for_again(self, fake: FakeEcs) -> None:
        known: dict[str, str] = {}
        patient = Ecs(fake.environ(), definitions=known)
        patient.push(self.make_job(2))
        job = self.make_job(1)
        fake.slow_next(30)
        with pytest.raises(Uncertain):
            Ecs(fake.environ(), definitions=known, read_seconds=0.5).push(job)
        patient.push(job)
        assert fake.starts(job.name) == 1


#: (code, message, HTTP status) of RunTask -> what is raised, why. Rows of the platform's documentation.
ERRORS = [
    ("ThrottlingException", "Rate exceeded", 400, Throttled, "platform_throttled"),
    ("TooManyRequestsException", "slow down", 429, Throttled, "platform_throttled"),
    ("ServerException", "Service Unavailable", 500, Uncertain, "push_uncertain"),
    ("ServiceUnavailable", "try later", 503, Uncertain, "push_uncertain"),
    ("ClientException", "Capacity is unavailable at this time.", 400, NoCapacity, "no_capacity"),
    ("ClientException", "You have too many tasks in PROVISIONING state", 400, Throttled, "platform_throttled"),
    ("ClientException", "Tasks provisioning capacity limit exceeded.", 400, Throttled, "platform_throttled"),
    ("ClientException", "com.amazonaws.services.ec2.model.AmazonEC2Exception: Request limit exceeded. (Service: AmazonEC2; Status Code: 503; Error Code: RequestLimitExceeded)", 400, Throttled, "platform_throttled"),
    ("InvalidParameterException", "Error retrieving security group information for [sg-05937427457b61ff5]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)", 400, Throttled, "platform_throttled"),
    ("InvalidParameterException", "Error retrieving subnet information for [subnet-0a]: Rate exceeded (ErrorCode: Throttling)", 400, Throttled, "platform_throttled"),
    ("InvalidParameterException", "Error retrieving security group information for [sg-x]: An internal error has occurred (ErrorCode: InternalError)", 400, Throttled, "platform_unavailable"),
    ("InvalidParameterException", "Unable to assume the service linked role. Please verify that the ECS service linked role exists.", 400, Throttled, "access_denied"),
    ("InvalidParameterException", "The provided target group throttling-rate is not valid: RequestLimitExceeded-sg", 400, Rejected, "platform_rejected"),
    ("ClientException", "Role is not valid", 400, Rejected, "platform_rejected"),
    ("ClientException", "You've reached the limit on the number of tasks you can run concurrently", 400, Throttled, "platform_throttled"),
    ("ClientException", "ECS was unable to assume the role 'x'", 400, Rejected, "access_denied"),
    ("ClientException", "No Fargate configuration exists for given values", 400, Rejected, "platform_rejected"),
    ("InvalidParameterException", "No Container Instances were found in your cluster.", 400, NoCapacity, "no_capacity"),
    ("InvalidParameterException", "Container Overrides length must be at most 8192", 400, Rejected, "overrides_too_long"),
    ("InvalidParameterException", "subnets can not be empty.", 400, Rejected, "platform_rejected"),
    ("ClusterNotFoundException", "Cluster not found.", 400, Rejected, "platform_rejected"),
    ("AccessDeniedException", "not authorized to perform: ecs:RunTask", 400, Rejected, "access_denied"),
    ("UnrecognizedClientException", "The security token is invalid", 400, Rejected, "access_denied"),
    ("ExpiredTokenException", "The security token is expired", 400, Throttled, "access_denied"),
    ("PlatformUnknownException", "unknown platform version", 400, Rejected, "platform_rejected"),
    ("PlatformTaskDefinitionIncompatibilityException", "incompatible", 400, Rejected, "platform_rejected"),
    ("UnsupportedFeatureException", "not in this region", 400, Rejected, "platform_rejected"),
    ("BlockedException", "Your account has been blocked", 400, Rejected, "platform_rejected"),
]  # fmt: skip

#: Reason of a failure at HTTP 200 -> what is raised, why.
FAILURES = [
    ("RESOURCE:CPU", NoCapacity, "no_capacity"),
    ("RESOURCE:MEMORY", NoCapacity, "no_capacity"),
    ("RESOURCE:ENI", NoCapacity, "no_capacity"),
    ("RESOURCE:GPU", NoCapacity, "no_capacity"),
    ("RESOURCE:PORTS", NoCapacity, "no_capacity"),
    ("AGENT", NoCapacity, "no_capacity"),
    ("Capacity is unavailable at this time. Please try again later", NoCapacity, "no_capacity"),
    ("You've reached the limit on the number of vCPUs you can run concurrently", Throttled, "platform_throttled"),
    ("EMPTY CAPACITY PROVIDER", NoCapacity, "no_capacity"),
    ("MemberOf constraint unsatisfied.", Rejected, "platform_rejected"),
    ("ATTRIBUTE", Rejected, "platform_rejected"),
    ("MISSING", Rejected, "platform_rejected"),
    ("INACTIVE", Rejected, "platform_rejected"),
    ("The requested CPU configuration is above your limit", Rejected, "platform_rejected"),
]  # fmt: skip


class TestRefusals(EcsSuite):
    @pytest.mark.parametrize(("code", "text", "status", "error", "reason"), ERRORS)
    def test_each_error_has_its_reaction_and_reason(
        self,
        ecs: Ecs,
        fake: FakeEcs,
        code: str,
        text: str,
        status: int,
        error: type[PlatformError],
        reason: str,
    ) -> None:
        job = self.make_job(1)
        # The SDK sends some of them once more.
        for _ in range(2):
            fake.fail_next("RunTask", code, text, status)
        with pytest.raises(error) as caught:
            ecs.push(job)
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert text in caught.value.message
        assert reason in REASONS
        assert fake.starts(job.name) == 0

    @pytest.mark.parametrize(("text", "error", "reason"), FAILURES)
    def test_each_failure_at_http_200_has_its_reaction_and_reason(
        self, ecs: Ecs, fake: FakeEcs, text: str, error: type[PlatformError], reason: str
    ) -> None:
        job = self.make_job(1)
        fake.no_task_next(text, "detail")
        with pytest.raises(error) as caught:
            ecs.push(job)
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert text in caught.value.message
        assert fake.starts(job.name) == 0
        ecs.push(job)
        assert fake.starts(job.name) == 1


class TestAnotherAccount(EcsSuite):
    """A pool of another account: a role of it asks, from the push to the logs."""

    ROLE = f"arn:aws:iam::{ACCOUNT}:role/push/dispatch"

    def job_there(self, n: int) -> Any:
        job = self.make_job(n)
        credentials = {"assume_role_arn": self.ROLE}
        return replace(job, configuration={**job.configuration, "aws_credentials": credentials})

    def test_all_is_asked_as_the_role(self, fake: FakeEcs) -> None:
        fake.roles = {self.ROLE}
        ecs = Ecs(fake.environ())
        job = self.job_there(1)
        handle = ecs.push(job)
        assert handle.endswith("/prefect@push/dispatch")
        fake.begin(job.name)
        assert self.seen(ecs, job, handle).status is Status.RUNNING
        ecs.cancel(handle)
        list(ecs.logs(handle))
        received = [request for request in fake.received if action_of(request) != "AssumeRole"]
        keys = {
            request.headers["authorization"].partition("Credential=")[2][:4] for request in received
        }
        assert keys == {"ROLE"}
        assert fake.actions().count("AssumeRole") == 1, "kept until it expires"

    def test_its_events_say_who_may_ask(self, fake: FakeEcs) -> None:
        fake.roles = {self.ROLE}
        job = self.job_there(1)
        ecs = Ecs(fake.environ())
        handle = ecs.push(job)
        reported = ecs.parse(fake.events(job.name)[-1])
        assert reported is not None
        # The fake has one account only.
        assert (reported.handle or "").partition("@")[2] == handle.partition("@")[2]

    def test_a_role_that_may_not_be_assumed_is_final(self, fake: FakeEcs) -> None:
        with pytest.raises(Rejected, match="sts:AssumeRole") as caught:
            Ecs(fake.environ()).push(self.job_there(1))
        assert caught.value.reason == "access_denied"
        assert fake.starts(self.job_there(1).name) == 0

    def test_what_is_no_role_is_refused_by_name(self, fake: FakeEcs) -> None:
        job = self.make_job(1)
        wrong = {**job.configuration, "aws_credentials": {"assume_role_arn": "dispatch"}}
        with pytest.raises(Rejected, match="assume_role_arn: 'dispatch'") as caught:
            Ecs(fake.environ()).push(replace(job, configuration=wrong))
        assert caught.value.reason == "template_invalid"


class TestAccelerators(EcsSuite):
    def test_gpus_are_asked_for_on_instances(self, ecs: Ecs, fake: FakeEcs) -> None:
        job = self.make_job(1, gpu=2)
        request = {**job.configuration["task_run_request"], "launchType": "EC2"}
        ecs.push(replace(job, configuration={**job.configuration, "task_run_request": request}))
        [received] = fake.requests(job.name)
        assert isinstance(received, dict)
        [override] = received["overrides"]["containerOverrides"]
        assert override["resourceRequirements"] == [{"type": "GPU", "value": "2"}]

    def test_fargate_has_none(self, ecs: Ecs) -> None:
        with pytest.raises(Rejected, match="Fargate has none") as caught:
            ecs.push(self.make_job(1, gpu=1))
        assert caught.value.reason == "template_invalid"

    def test_windows_is_a_variable(self, ecs: Ecs, fake: FakeEcs) -> None:
        job = self.make_job(1)
        values = {**self.variables, "operating_system_family": "WINDOWS_SERVER_2022_CORE"}
        made = render(self.template(), [Layer("run", values)]).configuration
        ecs.push(replace(job, configuration=made))
        platform = fake.task(job.name).definition["runtimePlatform"]
        assert platform == {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}

    def test_the_reporter_is_for_linux(self, ecs: Ecs) -> None:
        job = self.make_job(1, env={"PUSH_DISPATCH_REPORT_TOKEN": "t"})
        definition = {
            **job.configuration["task_definition"],
            "runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
        }
        windows = {**job.configuration, "task_definition": definition}
        with pytest.raises(Rejected, match="reporter: it is for Linux") as caught:
            ecs.push(replace(job, configuration=windows))
        assert caught.value.reason == "template_invalid"
