"""Which Terraform makes what a pool needs in another cloud, and declares the pool?

It is to be put beside a configuration that has the system as `module "push_dispatch"`, and calls
the modules of infra/terraform. What only its owner knows is written in capitals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from push_dispatch.core.model import Pool
from push_dispatch.platforms.registry import entry_for

__all__ = ["declared_by_terraform", "terraform"]

_MODULES = "./push-dispatch/infra/terraform/modules"


@dataclass(frozen=True, slots=True)
class _Cloud:
    """What differs between the clouds."""

    #: The module that is called, and by which name.
    module: str
    name: str
    #: What it is given beside the trust.
    arguments: Mapping[str, str]
    #: The input of the system's module that takes the output of the same name.
    variable: str
    #: The end of the name of the role that is trusted.
    role: str
    #: What job variables are, as expressions.
    defaults: Mapping[str, str]


_CLOUDS = {
    "cloud-run": _Cloud(
        "platform-cloud-run",
        "google",
        {"project": '"PROJECT"'},
        "cloud_run",
        "push-cloud-run",
        {
            "project": "module.google.cloud_run.project",
            "region": '"REGION"',
            "service_account_name": "module.google.jobs_service_account",
        },
    ),
    "aci": _Cloud(
        "platform-aci",
        "azure",
        {"location": '"LOCATION"'},
        "aci",
        "push-aci",
        {
            "subscription_id": "module.azure.subscription_id",
            "resource_group_name": "module.azure.resource_group_name",
        },
    ),
}


def declared_by_terraform(pool_type: str) -> bool:
    """Whether there is Terraform for pools of this type. Raises Invalid (`unknown_type`)."""
    return entry_for(pool_type).platform in _CLOUDS


def terraform(
    pool: Pool, system: str, template: str = "", variables: Mapping[str, Any] | None = None
) -> str:
    """The configuration for a pool and for what it needs. `system` is the system's name, which is
    its table's; `template` a file with the base job template, if it is not the type's own;
    `variables` are defaults of the pool, over those that the cloud's module knows."""
    cloud = _CLOUDS[entry_for(pool.type).platform]
    own = f"{pool.type.partition(':')[0]}.json"
    lines = [*_head(cloud), *([] if template else [f"# {_GET} {pool.type} > {own}"]), ""]
    lines += ['data "aws_caller_identity" "current" {}', "", *_platform(cloud, system), ""]
    return "\n".join([*lines, *_pool(cloud, pool, template or own, variables or {})])


_GET = "push-dispatch pool get-default-template --type"


def _head(cloud: _Cloud) -> list[str]:
    return [
        f'# Give module "push_dispatch" {cloud.variable} = module.{cloud.name}.{cloud.variable}',
        "# and, before this is applied:",
        "# aws iam enable-outbound-web-identity-federation  (once; it tells the ISSUER)",
    ]


def _platform(cloud: _Cloud, system: str) -> list[str]:
    account = "${data.aws_caller_identity.current.account_id}"
    given = {
        **cloud.arguments,
        "role_arn": f'"arn:aws:iam::{account}:role/{system}-{cloud.role}"',
        "issuer": '"ISSUER"',
    }
    return _block(f'module "{cloud.name}"', {"source": f'"{_MODULES}/{cloud.module}"'}, given)


def _pool(cloud: _Cloud, pool: Pool, template: str, variables: Mapping[str, Any]) -> list[str]:
    values: dict[str, Any] = {
        "name": pool.name,
        "type": pool.type,
        "description": pool.description or None,
        "limit": pool.limit,
        "paused": pool.paused or None,
    }
    given = {
        "table_name": "module.push_dispatch.table_name",
        **{name: _text(value) for name, value in values.items() if value is not None},
        "base_job_template": f"file({_text(template)})",
    }
    lines = _block(f'module "pool_{pool.name}"', {"source": f'"{_MODULES}/pool"'}, given)
    defaults = {**cloud.defaults, **{name: _text(value) for name, value in variables.items()}}
    return [*lines[:-1], "  defaults = {", *_assigned(defaults, "    "), "  }", "}"]


def _block(head: str, *groups: Mapping[str, str]) -> list[str]:
    """A block as `terraform fmt` has it: groups of arguments, with empty lines between them."""
    lines = [f"{head} {{"]
    for group in groups:
        lines += [*([""] if len(lines) > 1 else []), *_assigned(group, "  ")]
    return [*lines, "}"]


def _assigned(arguments: Mapping[str, str], indent: str) -> list[str]:
    width = max(map(len, arguments))
    return [f"{indent}{name:{width}} = {value}" for name, value in arguments.items()]


def _text(value: Any) -> str:
    """A literal. `${` and `%{` would begin an expression."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
