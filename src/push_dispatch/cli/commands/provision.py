"""`push-dispatch pool create --provision`: a pool with what it needs of its platform."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from push_dispatch.cli.backend import DEFAULT_TABLE
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import dim, print_json, say
from push_dispatch.core.errors import Invalid

if TYPE_CHECKING:
    from push_dispatch.core.model import Pool
    from push_dispatch.ops.provision.needs import Found

__all__ = ["Needs", "provisioned"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What the command line says of it."""

    #: Where tasks in ECS are, if not in the default VPC.
    subnets: Sequence[str] = ()
    groups: Sequence[str] = ()
    #: The base job template, if it is not the type's own.
    file: Path | None = None
    #: Defaults of job variables.
    variables: Mapping[str, Any] = field(default_factory=dict)


def provisioned(
    pool: Pool, template: Mapping[str, Any], needs: Needs, common: Common
) -> Mapping[str, Any] | None:
    """The pool's template with what was found or made; None if the pool is not to be created, as
    the Terraform that was printed declares it."""
    from push_dispatch.ops.provision.guidance import guidance
    from push_dispatch.ops.provision.terraform import declared_by_terraform
    from push_dispatch.platforms.registry import entry_for

    if entry_for(pool.type).platform == "ecs":
        return _in_ecs(template, needs, common)
    if needs.subnets or needs.groups:
        raise Invalid("--subnet and --security-group are for pools of type ecs")
    if declared_by_terraform(pool.type):
        names = {name.partition(".")[0] for name in needs.variables}
        properties = template["variables"]["properties"] if names else {}
        _print_terraform(pool, needs, {n: properties[n]["default"] for n in names}, common)
        return None
    dim(guidance(pool.type) or f"What a pool of type {pool.type} needs is not known here.")
    return template


def _in_ecs(template: Mapping[str, Any], needs: Needs, common: Common) -> dict[str, Any]:
    import boto3

    from push_dispatch.ops.provision.account import Account
    from push_dispatch.ops.provision.ecs import provision_ecs
    from push_dispatch.ops.provision.needs import Kind

    session = boto3.Session(profile_name=common.profile, region_name=common.region)
    if session.region_name is None:
        raise Invalid("no AWS region is configured: name one with AWS_REGION or --region")
    roles: list[str] = []

    def tell(found: Found) -> None:
        dim(f"{'made' if found.made else 'found'} {found.kind}: {found.shown}")
        if found.kind is Kind.EXECUTION_ROLE:
            roles.append(found.shown)

    where = {"subnets": needs.subnets, "groups": needs.groups}
    completed = provision_ecs(Account(session), template, **where, tell=tell)
    for arn in roles:
        dim("The system passes only the roles that it is configured with. Unless it is there,")
        dim(f"add to EcsTaskRoles with SAM, to ecs_task_roles with Terraform: {arn}")
    return completed


def _print_terraform(pool: Pool, needs: Needs, defaults: Mapping[str, Any], common: Common) -> None:
    from push_dispatch.ops.provision.terraform import terraform

    if pool.rate or pool.key_limit is not None:
        raise Invalid(
            "Terraform's pools know neither --rate nor --key-limit: set them with pool update"
        )
    system = os.environ.get("PUSH_DISPATCH_TABLE") or DEFAULT_TABLE
    text = terraform(pool, system, str(needs.file or ""), defaults)
    print_json({"terraform": text}) if common.json else say(text)
    dim("Nothing was made: apply this beside the system, and it declares the pool, too.")
