"""`pool create --provision`, as somebody types it: what is made, found, resumed, refused, printed?

The account is moto's. That what is asked of AWS is what AWS takes, the SDK checks by its models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from moto import mock_aws
from moto.iam.aws_managed_policies import aws_managed_policies_data

from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.core.template import with_defaults
from push_dispatch.ops.provision.account import Account
from push_dispatch.ops.provision.needs import Kind, lacking
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.ecs.request import parameters, plan_for
from push_dispatch.platforms.templates import default_template
from tests.local import Cli, Done

REGION, TABLE = "eu-west-1", "push-dispatch"
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": REGION,
    "PUSH_DISPATCH_TABLE": TABLE,
}
CLUSTER = f"arn:aws:ecs:{REGION}:123456789012:cluster/push-dispatch-pools"
ROLE = "arn:aws:iam::123456789012:role/push-dispatch-pools-execution"
LOGS = "/push-dispatch/push-dispatch-pools/tasks"
KEPT = f"{LOGS}, kept for 30 days"
LOADER = Loader()
PROVISION = ("--type", "ecs", "--provision")


@pytest.fixture(scope="module")
def one_policy() -> str:
    """Of AWS's own policies the one that is attached: moto takes a second to read all of them."""
    name = "AmazonECSTaskExecutionRolePolicy"
    return json.dumps({name: json.loads(aws_managed_policies_data)[name]})


@pytest.fixture
def cli(tmp_path: Path, one_policy: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Types commands at an account with a default VPC and a system's table."""
    monkeypatch.setattr("moto.iam.models.aws_managed_policies_data", one_policy)
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    # Each session reads the SDK's models anew, of EC2 ten megabytes.
    monkeypatch.setattr("botocore.session.create_loader", lambda _: LOADER)
    with mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        create_table(client("dynamodb"), TABLE)
        yield Cli(tmp_path, KEYS)


def client(service: str) -> Any:
    session: Any = boto3.Session(
        aws_access_key_id="key", aws_secret_access_key="secret", region_name=REGION
    )
    return session.client(service)


class Calls:
    """What is asked of AWS beside the table, and what of it fails."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.failing: dict[str, str] = {}

    def __call__(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(itself: BaseClient, operation: str, given: Any) -> Any:
            service = itself.meta.service_model.service_name
            if service != "dynamodb":
                self.received.append(f"{service}:{operation}")
            if code := self.failing.get(operation):
                message = f"not authorized to perform {operation}"
                raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
            return original(itself, operation, given)

        return call

    @property
    def made(self) -> list[str]:
        reads = ("Describe", "Get", "List")
        return [call for call in self.received if not call.partition(":")[2].startswith(reads)]


@pytest.fixture
def calls(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    sdk: Any = BaseClient  # whose types lack the one place that every call passes
    monkeypatch.setattr(sdk, "_make_api_call", calls(sdk._make_api_call))
    return calls


# -- made, found, resumed -------------------------------------------------------------------------


def test_everything_is_made_once_and_found_the_second_time(cli: Cli, calls: Calls) -> None:
    first = cli.ok("pool", "create", "etl", *PROVISION, "--limit", "4")
    assert first.out == "Created pool etl.\n"
    assert made_by(first) == [
        f"cluster: {CLUSTER}",
        f"execution role: {ROLE}",
        f"log group: {KEPT}",
    ]
    assert f"EcsTaskRoles with SAM, to ecs_task_roles with Terraform: {ROLE}" in first.err
    calls.received.clear()
    second = cli.ok("pool", "create", "more", *PROVISION)
    assert made_by(second) == []
    assert f"found cluster: {CLUSTER}" in second.err
    assert calls.made == []
    pools = cli.ok("pool", "ls", "--json").json
    assert {pool["name"]: pool["limit"] for pool in pools} == {"etl": 4, "more": None}


def test_what_is_made_is_enough_and_is_marked(cli: Cli) -> None:
    cli.ok("pool", "create", "etl", *PROVISION)
    iam, name = client("iam"), "push-dispatch-pools-execution"
    role = iam.get_role(RoleName=name)["Role"]
    assert role["Tags"] == [
        {"Key": "push-dispatch:made-by", "Value": "pool create --provision"},
    ]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert [p["PolicyName"] for p in attached] == ["AmazonECSTaskExecutionRolePolicy"]
    document = iam.get_role_policy(RoleName=name, PolicyName="secrets")["PolicyDocument"]
    [statement] = document["Statement"]
    assert statement["Resource"] == "arn:aws:secretsmanager:*:123456789012:secret:push-dispatch/*"
    [cluster] = client("ecs").describe_clusters(clusters=[CLUSTER])["clusters"]
    assert cluster["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    [group] = client("logs").describe_log_groups(logGroupNamePrefix=LOGS)["logGroups"]
    assert group["retentionInDays"] == 30


@pytest.mark.parametrize(
    "operation",
    ["CreateCluster", "CreateRole", "AttachRolePolicy", "PutRolePolicy", "CreateLogGroup"],
)
def test_after_a_failure_the_same_command_goes_on(cli: Cli, calls: Calls, operation: str) -> None:
    calls.failing[operation] = "LimitExceededException"
    failed = cli("pool", "create", "etl", *PROVISION)
    assert (failed.code, "[provision_incomplete]" in failed.err) == (1, True)
    assert operation in failed.err
    assert "the same command goes on" in failed.err
    assert cli.ok("pool", "ls", "--json").json == []
    calls.failing.clear()
    cli.ok("pool", "create", "etl", *PROVISION)
    once = {"ecs:CreateCluster", "iam:CreateRole", "logs:CreateLogGroup"}
    for call in once | {"iam:AttachRolePolicy", "iam:PutRolePolicy"}:
        assert calls.received.count(call) == (2 if call.endswith(f":{operation}") else 1), call


def test_a_failure_says_what_is_there(cli: Cli, calls: Calls) -> None:
    calls.failing["CreateLogGroup"] = "LimitExceededException"
    failed = cli("pool", "create", "etl", *PROVISION)
    assert f"cluster is there: {CLUSTER}" in failed.err
    assert f"execution role is there: {ROLE}" in failed.err
    assert "log group is there" not in failed.err


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("DescribeVpcs", "UnauthorizedOperation"),
        ("CreateRole", "AccessDenied"),
        ("CreateLogGroup", "AccessDeniedException"),
    ],
)
def test_whoever_may_not_is_told_what(cli: Cli, calls: Calls, operation: str, code: str) -> None:
    calls.failing[operation] = code
    refused = cli("pool", "create", "etl", *PROVISION)
    [error] = [line for line in refused.err.splitlines() if line.startswith("error: ")]
    assert error.endswith("[access_denied]")
    assert f"not authorized to perform {operation}" in error
    assert refused.code == 1


def test_what_is_asked_is_what_has_to_be_allowed(cli: Cli, calls: Calls) -> None:
    cli.ok("pool", "create", "etl", *PROVISION)
    named = {call.replace("logs:TagLogGroup", "logs:TagResource") for call in calls.received}
    # Tags come with what they are on, and need a permission of their own.
    assert set(Account.iam_actions) == named | {
        "ecs:TagResource",
        "iam:TagRole",
        "logs:TagResource",
    }


def test_the_page_names_what_has_to_be_allowed() -> None:
    page = Path(__file__).parents[2] / "docs/guides/provisioning.md"
    named = re.findall(r"`((?:ec2|ecs|iam|logs):\w+)`", page.read_text("utf-8"))
    assert sorted(named) == sorted(Account.iam_actions)


def test_a_role_that_is_something_else_is_not_taken(cli: Cli) -> None:
    trust = json.dumps({"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]})
    name = "push-dispatch-pools-execution"
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    refused = cli("pool", "create", "etl", *PROVISION)
    assert "is not for ECS tasks" in refused.err
    assert client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []


def test_what_somebody_else_made_is_used_and_not_changed(cli: Cli) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
    document = json.dumps({"Statement": [trust | {"Action": "sts:AssumeRole"}]})
    name = "push-dispatch-pools-execution"
    client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    client("logs").create_log_group(logGroupName=LOGS)
    done = cli.ok("pool", "create", "etl", *PROVISION)
    assert f"found log group: {LOGS}, kept for good" in done.err
    assert client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []


# -- the pool -------------------------------------------------------------------------------------


def test_its_template_renders_what_ecs_needs(cli: Cli) -> None:
    cli.ok("pool", "create", "etl", *PROVISION)
    rendered = cli.ok("run", "render", "etl", "--var", "image=i", "--json", "--", "true").json
    job = Job("pd-x-1", f"etl.{UUID(int=1)}", "etl", "ecs", 1, rendered["configuration"])
    plan = plan_for(job, "us-east-1")
    request = parameters(job, plan, "definition", "job", None)
    subnets = client("ec2").describe_subnets()["Subnets"]
    assert request["cluster"] == CLUSTER
    assert request["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": sorted(subnet["SubnetId"] for subnet in subnets),
        "assignPublicIp": "ENABLED",
    }
    assert request["overrides"]["containerOverrides"][0]["command"] == ["true"]
    definition = plan.definition or {}
    assert (plan.region, definition["executionRoleArn"]) == (REGION, ROLE)
    log = definition["containerDefinitions"][0]["logConfiguration"]
    assert log["options"]["awslogs-group"] == LOGS


def test_subnets_and_groups_of_ones_own(cli: Cli) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    cli.ok("pool", "create", "p", *PROVISION, "--subnet", made, "--security-group", "sg-1")
    rendered = cli.ok("run", "render", "p", "--var", "image=i", "--json").json
    assert rendered["configuration"]["network_configuration"] == {
        "subnets": [made],
        "assignPublicIp": "DISABLED",
        "securityGroups": ["sg-1"],
    }
    unknown = cli("pool", "create", "q", *PROVISION, "--subnet", "subnet-0123456789abcdef0")
    assert "InvalidSubnetID.NotFound" in unknown.err


def test_without_a_default_vpc_nothing_is_made(cli: Cli, calls: Calls) -> None:
    ec2 = client("ec2")
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    calls.received.clear()
    refused = cli("pool", "create", "etl", *PROVISION)
    assert "name subnets with --subnet" in refused.err
    assert calls.made == []


def test_nothing_is_asked_of_the_account_for_a_pool_that_cannot_be(cli: Cli, calls: Calls) -> None:
    cli.ok("pool", "create", "etl", "--type", "ecs")
    assert "[pool_exists]" in cli("pool", "create", "etl", *PROVISION).err
    assert "[invalid_limit]" in cli("pool", "create", "p", *PROVISION, "--limit", "-1").err
    assert "[invalid_input]" in cli("pool", "create", "p", "--type", "ecs", "--subnet", "s").err
    assert calls.received == []


def test_what_a_template_names_is_left_alone(cli: Cli, calls: Calls, tmp_path: Path) -> None:
    own = {"cluster": "mine", "vpc_id": "vpc-1", "configure_cloudwatch_logs": False}
    template = with_defaults(default_template("ecs"), own)
    assert lacking(template) == (Kind.EXECUTION_ROLE,)
    file = tmp_path / "template.json"
    file.write_text(json.dumps(template))
    given = ("pool", "create", "etl", *PROVISION, "--base-job-template", str(file))
    assert "names its network" in cli(*given, "--subnet", "subnet-1").err
    cli.ok(*given)
    assert {call.partition(":")[0] for call in calls.received} == {"iam"}
    rendered = cli.ok("run", "render", "etl", "--var", "image=i", "--json").json
    assert rendered["configuration"]["cluster"] == "mine"


# -- other platforms ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pool_type", "needed"),
    [
        ("modal:push", "secretsmanager create-secret --name push-dispatch-system/modal"),
        ("managed", "ManagedSubnets"),
        ("kubernetes", "pods/log"),
    ],
)
def test_elsewhere_it_says_what_is_needed(
    cli: Cli, calls: Calls, pool_type: str, needed: str
) -> None:
    done = cli.ok("pool", "create", "p", "--type", pool_type, "--provision")
    assert needed in done.err
    assert done.out == "Created pool p.\n"
    assert calls.received == []
    refused = cli("pool", "create", "q", "--type", pool_type, "--provision", "--subnet", "s")
    assert "[invalid_input]" in refused.err


def test_for_another_cloud_it_prints_terraform_that_declares_the_pool(cli: Cli) -> None:
    done = cli.ok("pool", "create", "etl", "--type", "cloud-run-v2:push", "--provision")
    assert 'name              = "etl"' in done.out
    assert "Nothing was made" in done.err
    assert cli.ok("pool", "ls", "--json").json == []
    as_json = cli.ok(
        "pool", "create", "etl", "--type", "cloud-run-v2:push", "--provision", "--json"
    )
    assert as_json.json["terraform"] + "\n" == done.out
    refused = cli("pool", "create", "etl", "-t", "cloud-run", "--provision", "--key-limit", "1")
    assert "--key-limit" in refused.err


# -- details --------------------------------------------------------------------------------------


def made_by(done: Done) -> list[str]:
    """What a command says that it has made."""
    return [line[5:] for line in done.err.splitlines() if line.startswith("made ")]
