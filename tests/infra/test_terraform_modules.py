"""Are the modules beside the root what its variables, the platforms and the documents need?

Of Google's and Azure's modules nothing but this is known where their providers cannot be had; where
they can, `.ci/steps/65-terraform-clouds.sh` validates them and runs their own tests.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.core.model import Pool
from push_dispatch.ops.provision.terraform import terraform
from push_dispatch.platforms.aci import Aci
from push_dispatch.platforms.aci.sign_in import AUDIENCE
from push_dispatch.platforms.cloud_run import CloudRun
from push_dispatch.platforms.templates import default_template
from tests.infra.tools.hcl import Block, blocks, typed, value
from tests.infra.tools.terraform import Module, Resource, read
from tests.infra.tools.terraform_readme import PAGE, written

ROOT = Path(__file__).parents[2] / "infra/terraform"
MODULES = [ROOT, *sorted(path for path in (ROOT / "modules").iterdir() if path.is_dir())]
ROLE = "arn:aws:iam::123456789012:role/push-dispatch-push"
ISSUER = "https://issuer.example"
GOOGLE = {"project": "my-project", "role_arn": ROLE, "issuer": ISSUER}
AZURE = {"location": "westeurope", "role_arn": ROLE, "issuer": ISSUER}


@pytest.mark.parametrize("folder", MODULES, ids=lambda folder: folder.name)
def test_every_variable_and_output_is_described(folder: Path) -> None:
    for block in _of(folder, "variable"):
        assert {"description", "type"} <= set(block.attributes), block.labels
    for block in _of(folder, "output"):
        assert {"description", "value"} <= set(block.attributes), block.labels
    assert (folder / "versions.tf").exists()


def test_the_page_says_what_variables_and_outputs_say() -> None:
    page = PAGE.read_text("utf-8")
    assert page == written(page), "run: python -m tests.infra.tools.terraform_readme"
    for folder in MODULES[1:]:
        assert f"### {folder.name}\n" in page or folder.name == "function"


@pytest.mark.parametrize("name", ["platform-cloud-run", "platform-aci"])
def test_whoever_is_trusted_or_called_by_a_name_is_checked(name: str) -> None:
    checked = {b.labels[0] for b in _of(_module(name), "variable") if _checks(b)}
    given = {b.labels[0] for b in _of(_module(name), "variable")}
    assert given - checked <= {"enable_apis", "tags"}


@pytest.mark.parametrize("name", [m.name for m in MODULES if m.name.startswith("platform-")])
def test_outputs_name_job_variables_that_there_are(name: str) -> None:
    template = default_template(_TYPES[name])
    for block in _of(_module(name), "output"):
        for variable in re.findall(r"the job variable `(\w+)`", _text(block)):
            assert variable in template["variables"]["properties"], block.labels


_TYPES = {
    "platform-aci": "azure-container-instance",
    "platform-cloud-run": "cloud-run-v2",
    "platform-ecs": "ecs",
}


@pytest.mark.parametrize(
    ("name", "given", "variable"),
    [("platform-cloud-run", GOOGLE, "cloud_run"), ("platform-aci", AZURE, "aci")],
)
def test_an_output_is_all_that_the_root_module_takes(
    name: str, given: dict[str, Any], variable: str
) -> None:
    output = Module(read(_module(name)), given)[variable]
    [taken] = [b for b in _of(ROOT, "variable") if b.labels == [variable]]
    completed = typed(taken.attributes["type"], output)
    assert completed == output
    assert all(output.values())


# -- Google ---------------------------------------------------------------------------------------


def test_google_lets_the_function_do_what_it_needs_and_nothing_else() -> None:
    made = _made("platform-cloud-run", GOOGLE)
    custom = made["google_project_iam_custom_role"]
    roles = {role.name: set(role.arguments["permissions"]) for role in custom}
    assert roles == {
        "push": set(CloudRun.google_permissions),
        "act_as": {"iam.serviceAccounts.actAs"},
    }
    [on_project] = made["google_project_iam_member"]
    assert on_project.arguments["role"] == "<google_project_iam_custom_role.push.name>"
    on_accounts = {r.name: r.arguments for r in made["google_service_account_iam_member"]}
    assert set(on_accounts) == {"act_as", "federation"}
    assert on_accounts["federation"]["service_account_id"] == "<google_service_account.push.name>"
    assert on_accounts["act_as"]["service_account_id"] == "<google_service_account.jobs.name>"
    assert on_accounts["act_as"]["member"] == "<google_service_account.push.member>"


def test_google_trusts_one_role() -> None:
    made = _made("platform-cloud-run", GOOGLE)
    [provider] = made["google_iam_workload_identity_pool_provider"]
    assert provider.arguments["attribute_mapping"] == {"google.subject": "assertion.sub"}
    assert provider.arguments["attribute_condition"] == f"assertion.sub == '{ROLE}'"
    # Without audiences Google takes the provider's name, which the function asks STS for.
    assert provider.arguments["oidc"] == [{"issuer_uri": ISSUER}]
    [federation] = [r for r in made["google_service_account_iam_member"] if r.name == "federation"]
    assert federation.arguments["role"] == "roles/iam.workloadIdentityUser"
    assert federation.arguments["member"].endswith(f"/subject/{ROLE}")


def test_the_code_in_jobs_may_do_what_is_asked_for() -> None:
    given = GOOGLE | {"job_roles": {"read": "roles/storage.objectViewer"}}
    made = _made("platform-cloud-run", given)["google_project_iam_member"]
    [jobs] = [r for r in made if r.name == "jobs[read]"]
    assert jobs.arguments["member"] == "<google_service_account.jobs.member>"


# -- Azure ----------------------------------------------------------------------------------------


def test_azure_lets_the_function_do_what_it_needs_and_nothing_else() -> None:
    subnet = "/subscriptions/1/resourceGroups/g/…/virtualNetworks/n/subnets/s"
    made = _made("platform-aci", AZURE | {"uses": {"subnet": subnet}})
    roles = {
        r.name: set(r.arguments["permissions"][0]["actions"])
        for r in made["azurerm_role_definition"]
    }
    assert roles["push"] | roles["use"] == set(Aci.azure_actions)
    assert {action.rpartition("/")[2] for action in roles["use"]} == {"action"}
    scopes = {r.name: r.arguments["scope"] for r in made["azurerm_role_assignment"]}
    assert scopes == {"push": "<azurerm_resource_group.group.id>", "use[subnet]": subnet}


def test_azure_gives_no_more_than_is_asked_for() -> None:
    made = _made("platform-aci", AZURE)
    assert [r.name for r in made["azurerm_role_definition"]] == ["push"]
    assert [r.name for r in made["azurerm_role_assignment"]] == ["push"]


def test_azure_trusts_one_role() -> None:
    [trusted] = _made("platform-aci", AZURE)["azurerm_federated_identity_credential"]
    assert {k: trusted.arguments[k] for k in ("issuer", "subject", "audience")} == {
        "issuer": ISSUER,
        "subject": ROLE,
        "audience": [AUDIENCE],
    }


# -- the complete example -------------------------------------------------------------------------


def test_the_complete_example_asks_for_every_platform() -> None:
    [called] = [
        b for b in _of(ROOT / "examples/complete", "module") if b.labels[0] == "push_dispatch"
    ]
    platforms = {"aci", "cloud_run", "managed", "modal"}
    more = {"alarm_topic_arn", "api", "ecs_task_roles", "enable_reporter", "kms_key_arn"}
    assert platforms | more <= set(called.attributes)


@pytest.mark.parametrize(
    ("platform", "cloud", "resource", "trusted"),
    [
        (
            "cloud-run",
            "google",
            "google_iam_workload_identity_pool_provider",
            "attribute_condition",
        ),
        ("aci", "azure", "azurerm_federated_identity_credential", "subject"),
    ],
)
def test_the_other_clouds_trust_the_role_that_the_function_has(
    platform: str, cloud: str, resource: str, trusted: str
) -> None:
    example = _complete()
    role = f"role/{_role_of(example.called('push_dispatch'), platform)}"
    [made] = [r for r in example.called(cloud).resources() if r.type == resource]
    assert str(made.arguments[trusted]).rstrip("'").endswith(role)


def test_the_functions_are_told_what_the_other_clouds_tell() -> None:
    reported = {
        name: held
        for resource in _complete().called("push_dispatch").resources()
        if resource.type == "aws_lambda_function"
        for environment in resource.arguments["environment"]
        for name, held in environment["variables"].items()
    }
    provider = "google_iam_workload_identity_pool_provider.aws.name"
    assert (
        reported["PUSH_DISPATCH_GOOGLE_AUDIENCE"]
        == f"//iam.googleapis.com/<module.google.{provider}>"
    )
    assert reported["AZURE_CLIENT_ID"] == (
        "<module.azure.azurerm_user_assigned_identity.push.client_id>"
    )


def _complete() -> Module:
    given = {
        "subnets": ["subnet-1"],
        "issuer": ISSUER,
        "google_project": "my-project",
        "azure_subscription_id": "subscription",
    }
    return Module(read(ROOT), given, "examples/complete")


def _role_of(system: Module, platform: str) -> str:
    """Name of the role of the function that pushes to a platform."""
    names = {r.arguments["name"] for r in system.resources() if r.type == "aws_iam_role"}
    [name] = [name for name in names if name.endswith(f"-push-{platform}")]
    return str(name)


# -- what `pool create --provision` prints --------------------------------------------------------


@pytest.mark.parametrize(
    "pool_type", ["cloud-run", "cloud-run:push", "cloud-run-v2:push", "azure-container-instance"]
)
def test_what_is_printed_calls_the_modules_as_they_are(pool_type: str) -> None:
    pool = Pool("etl-1", pool_type, limit=4, description='${all} of "it"')
    text = terraform(pool, "my-system")
    platform, declared = [block for block in blocks(text) if block.type == "module"]
    for block in (platform, declared):
        folder = _module(Path(value(block.attributes["source"], {})).name)
        variables = _of(folder, "variable")
        assert set(block.attributes) - {"source"} <= {b.labels[0] for b in variables}
        needed = {b.labels[0] for b in variables if "default" not in b.attributes}
        assert needed <= set(block.attributes)
    outputs = {b.labels[0] for b in _of(_module(_PRINTED[platform.labels[0]]), "output")}
    assert set(re.findall(rf"module\.{platform.labels[0]}\.(\w+)", text)) <= outputs
    names = re.findall(r"(?m)^    (\w+) +=", text)
    assert names
    assert set(names) <= set(default_template(pool_type)["variables"]["properties"])


def test_what_is_printed_says_what_was_asked_for() -> None:
    pool = Pool("etl", "cloud-run-v2", limit=0, paused=True, description='${all} of "it"')
    text = terraform(pool, "my-system", "own.json")
    [_, declared] = [block for block in blocks(text) if block.type == "module"]
    reported = {
        name: value(declared.attributes[name], {})
        for name in ("name", "type", "limit", "paused", "description")
    }
    assert reported == {
        "name": "etl",
        "type": "cloud-run-v2",
        "limit": 0,
        "paused": True,
        "description": '$${all} of "it"',
    }
    assert 'base_job_template = file("own.json")' in text
    assert ":role/my-system-push-cloud-run" in text


_PRINTED = {"google": "platform-cloud-run", "azure": "platform-aci"}


# -- details --------------------------------------------------------------------------------------


def _module(name: str) -> Path:
    return ROOT / "modules" / name


def _of(folder: Path, kind: str) -> list[Block]:
    files = sorted(folder.glob("*.tf"))
    return [b for file in files for b in blocks(file.read_text()) if b.type == kind]


def _made(name: str, given: dict[str, Any]) -> dict[str, list[Resource]]:
    """What the module makes, by type."""
    made: dict[str, list[Resource]] = {}
    for resource in Module(read(_module(name)), given).resources():
        made.setdefault(resource.type, []).append(resource)
    return made


def _checks(variable: Block) -> bool:
    return any(block.type == "validation" for block in variable.blocks)


def _text(output: Block) -> str:
    return str(value(output.attributes["description"], {}))
