"""Which revision of which task definition is used, and which subnets?

Both are looked up in AWS itself, so that a function that starts cold neither registers what is
there nor needs a table of its own; what was found is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from botocore.exceptions import ClientError

from push_dispatch.platforms.aws import code_of
from push_dispatch.platforms.ecs.clients import Clients
from push_dispatch.platforms.ecs.request import Plan
from push_dispatch.platforms.shared import Remembered, invalid

__all__ = ["Catalogue"]

#: An awsvpc configuration takes at most so many subnets (ECS service quotas).
_SUBNETS = 16


class Catalogue:
    """Finds and registers. Lets the SDK's errors pass."""

    def __init__(self, clients: Clients, remembered: MutableMapping[str, str]) -> None:
        self._clients = clients
        #: ARN of a revision by region and family.
        self._remembered = remembered
        self._described: dict[str, Mapping[str, Any]] = {}
        self._subnets = Remembered(self._discover_subnets)

    def definition(self, plan: Plan) -> str:
        """The ARN of the definition with the plan's content, registered if need be.

        Not exclusive: two processes may register two revisions of the same content, which does no
        harm.
        """
        if plan.definition is None:
            return plan.definition_arn or ""
        key = _key(plan)
        if key not in self._remembered:
            self._remembered[key] = self._find(plan) or self._register(plan)
        return self._remembered[key]

    def forget(self, plan: Plan) -> bool:
        """Whether the plan's definition is ours; it is looked up anew the next time."""
        return self._remembered.pop(_key(plan), None) is not None

    def on_definition(self, plan: Plan, configuration: Mapping[str, Any]) -> Plan:
        """Return the plan on the definition that it names, which is described; ours is known.

        A revision never changes; what a bare family means may, so that is described each time.
        """
        arn = plan.definition_arn
        if arn is None:
            return plan
        described = self._described.get(arn + plan.role) or self.describe(
            plan.region, arn, plan.role
        )
        if ":" in arn.rpartition("/")[2]:
            self._described[arn + plan.role] = described
        return plan.on(described, configuration)

    def describe(self, region: str, definition: str, role: str) -> Mapping[str, Any]:
        """A revision, or the newest one of a family, as ECS shows it."""
        ecs = self._clients.get("ecs", region, role)
        described = ecs.describe_task_definition(taskDefinition=definition)
        return dict(described["taskDefinition"])

    def subnets(self, plan: Plan) -> list[str] | None:
        """Subnets for a task whose template names none: all of its VPC, else of the default one,
        as Prefect does it. None if the task needs none.

        Raises Rejected if there are none.
        """
        if not plan.wants_subnets:
            return None
        return self._subnets[plan.role, plan.region, plan.vpc]

    def _find(self, plan: Plan) -> str | None:
        try:
            found = self.describe(plan.region, plan.family, plan.role)
        except ClientError as error:
            if code_of(error) == "ClientException":  # how ECS says that there is none
                return None
            raise
        return found["taskDefinitionArn"] if found.get("status") == "ACTIVE" else None

    def _register(self, plan: Plan) -> str:
        ecs = self._clients.get("ecs", plan.region, plan.role)
        made = ecs.register_task_definition(family=plan.family, **(plan.definition or {}))
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def _discover_subnets(self, where: tuple[str, str, str | None]) -> list[str]:
        role, region, named = where
        ec2 = self._clients.get("ec2", region, role)
        vpc = named or self._default_vpc(ec2)
        wanted = [{"Name": "vpc-id", "Values": [vpc]}]
        subnets = ec2.describe_subnets(Filters=wanted)["Subnets"] if vpc else []
        if not subnets:
            raise invalid(
                f"no subnets in {named or 'a default VPC'} of {region}: set the job "
                "variable 'network_configuration' to {'subnets': […], 'securityGroups': […]}"
            )
        return sorted(str(subnet["SubnetId"]) for subnet in subnets)[:_SUBNETS]

    @staticmethod
    def _default_vpc(ec2: Any) -> str | None:
        default = [{"Name": "is-default", "Values": ["true"]}]
        vpcs = ec2.describe_vpcs(Filters=default)["Vpcs"]
        return vpcs[0]["VpcId"] if vpcs else None


def _key(plan: Plan) -> str:
    """Another role is another account, maybe."""
    return f"{plan.region}/{plan.family}" + (f"@{plan.role}" if plan.role else "")
