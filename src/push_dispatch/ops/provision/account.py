"""What of a pool's needs is there in an AWS account? And what is not, is made.

Each method finds what has the name, else makes it; called again after a failure at any point, it
finds what it made and completes it. What it did not make, it does not change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.config import Config
from botocore.exceptions import ClientError

from push_dispatch.core.errors import Refused
from push_dispatch.ops.provision.needs import (
    EXECUTION_POLICY,
    LOG_DAYS,
    NAME,
    TAGS,
    TRUST,
    Found,
    Kind,
    secrets_policy,
)

if TYPE_CHECKING:
    import boto3

__all__ = ["Account"]

_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard"})
#: An awsvpc configuration takes at most so many subnets (ECS service quotas).
_SUBNETS = 16


class Account:
    """One account and region. Lets the SDK's errors pass."""

    #: What whoever provisions must be allowed to do.
    iam_actions: ClassVar[tuple[str, ...]] = (
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ecs:CreateCluster",
        "ecs:DescribeClusters",
        "ecs:TagResource",
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:GetRole",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:PutRolePolicy",
        "iam:TagRole",
        "logs:CreateLogGroup",
        "logs:DescribeLogGroups",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
    )

    def __init__(self, session: boto3.Session) -> None:
        """`session` knows its region."""
        self._session: Any = session

    # -- network ---------------------------------------------------------------------------------

    def network(self, subnets: Sequence[str] = (), groups: Sequence[str] = ()) -> Found:
        """These subnets, else those of the default VPC; nothing is made. Raises Refused if there
        are none."""
        ec2 = self._client("ec2")
        if subnets:
            found = ec2.describe_subnets(SubnetIds=list(subnets))["Subnets"]
        else:
            found = self._default_subnets(ec2)
        if not found:
            raise Refused(
                f"the account has no default VPC in {self._session.region_name}: name subnets "
                "with --subnet"
            )
        # In a subnet that gives no public address a task reaches nothing by one.
        public = all(subnet["MapPublicIpOnLaunch"] for subnet in found)
        configuration: dict[str, Any] = {
            "subnets": sorted(subnet["SubnetId"] for subnet in found)[:_SUBNETS],
            "assignPublicIp": "ENABLED" if public else "DISABLED",
        }
        if groups:
            configuration["securityGroups"] = list(groups)
        shown = f"{', '.join(configuration['subnets'])} in {found[0]['VpcId']}"
        return Found(Kind.NETWORK, shown, {"network_configuration": configuration})

    @staticmethod
    def _default_subnets(ec2: Any) -> list[Any]:
        default = [{"Name": "is-default", "Values": ["true"]}]
        vpcs = ec2.describe_vpcs(Filters=default)["Vpcs"]
        wanted = [{"Name": "vpc-id", "Values": [vpc["VpcId"] for vpc in vpcs]}]
        subnets: list[Any] = ec2.describe_subnets(Filters=wanted)["Subnets"] if vpcs else []
        return subnets

    # -- cluster ---------------------------------------------------------------------------------

    def cluster(self) -> Found:
        """The cluster, with Fargate's capacity providers."""
        ecs = self._client("ecs")
        there = [
            cluster
            for cluster in ecs.describe_clusters(clusters=[NAME])["clusters"]
            if cluster["status"] == "ACTIVE"  # for a while ECS also shows deleted ones
        ]
        arn = there[0]["clusterArn"] if there else self._make_cluster(ecs)
        return Found(Kind.CLUSTER, arn, {"cluster": arn}, made=not there)

    @staticmethod
    def _make_cluster(ecs: Any) -> str:
        made = ecs.create_cluster(
            clusterName=NAME,
            capacityProviders=["FARGATE", "FARGATE_SPOT"],
            tags=[{"key": key, "value": value} for key, value in TAGS.items()],
        )
        arn: str = made["cluster"]["clusterArn"]
        return arn

    # -- execution role --------------------------------------------------------------------------

    def execution_role(self) -> Found:
        """The role with which ECS starts tasks. Raises Refused if a role of this name is
        something else."""
        iam, name = self._client("iam"), f"{NAME}-execution"
        role = self._role(iam, name)
        made = role is None
        if role is None:
            role = iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=json.dumps(TRUST),
                Description="With it ECS starts tasks of push-dispatch's pools.",
                Tags=_listed(TAGS),
            )["Role"]
        elif "ecs-tasks.amazonaws.com" not in json.dumps(role["AssumeRolePolicyDocument"]):
            raise Refused(
                f"role {name} is not for ECS tasks: delete it, or name another one as the default "
                "of execution_role_arn in a base job template"
            )
        if made or _listed(TAGS)[0] in role.get("Tags", []):
            self._complete(iam, role)
        arn = role["Arn"]
        return Found(Kind.EXECUTION_ROLE, arn, {"execution_role_arn": arn}, made=made)

    @staticmethod
    def _role(iam: Any, name: str) -> Any:
        try:
            return iam.get_role(RoleName=name)["Role"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchEntity":
                return None
            raise

    @staticmethod
    def _complete(iam: Any, role: Mapping[str, Any]) -> None:
        """Give our own role what it lacks, also if somebody was interrupted between the two."""
        name = role["RoleName"]
        partition = role["Arn"].split(":")[1]
        policy = f"arn:{partition}:iam::aws:{EXECUTION_POLICY}"
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        if policy not in {each["PolicyArn"] for each in attached}:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        if "secrets" not in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = json.dumps(secrets_policy(role["Arn"]))
            iam.put_role_policy(RoleName=name, PolicyName="secrets", PolicyDocument=document)

    # -- log group -------------------------------------------------------------------------------

    def log_group(self) -> Found:
        """The log group. One that is there keeps its retention, also none: less would delete."""
        logs, name = self._client("logs"), f"/push-dispatch/{NAME}/tasks"
        groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        there = [group for group in groups if group["logGroupName"] == name]
        if not there:
            logs.create_log_group(logGroupName=name, tags=dict(TAGS))
            logs.put_retention_policy(logGroupName=name, retentionInDays=LOG_DAYS)
        days = there[0].get("retentionInDays") if there else LOG_DAYS
        kept = f"kept for {days} days" if days else "kept for good"
        options = {"awslogs-group": name}
        defaults = {"configure_cloudwatch_logs": True, "cloudwatch_logs_options": options}
        return Found(Kind.LOG_GROUP, f"{name}, {kept}", defaults, made=not there)

    def _client(self, service: str) -> Any:
        return self._session.client(service, config=_CONFIG)


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
