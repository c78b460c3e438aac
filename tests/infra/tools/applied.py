"""`terraform apply` of the simple example as it is, to MiniStack; and then the system has to work.

Run by `.ci/steps/60-terraform.sh`. Looked at first: format, validity, the module's own tests with a
mocked provider, and the complete example's part in AWS. Then the simple example is applied, planned
again without a difference, used as tests/infra/tools/deploy.py uses the SAM stack, and destroyed.

What MiniStack 1.5.33 cannot do is listed there, too. Here, in addition: it keeps all of an alarm,
but leaves half of it out when it describes alarms in XML, as the provider asks for them. So of
alarms these attributes, and of nothing else anything, may differ in the second plan; that they are
kept is seen by asking in another format.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fakes.ecs import FakeEcs
from tests.infra.tools.scenario import (
    requests_become_runs_that_finish,
    the_doctor_finds_nothing_wrong,
    what_is_wrong_is_set_aside,
)
from tests.infra.tools.stack import KEYS, Stack, listener
from tests.infra.tools.terraform_cli import Absent, Terraform, terraform_in
from tests.local import Cli
from tests.ministack import client, ministack

ROOT = Path(__file__).parents[3]
_SKIPPED = 77
#: What MiniStack does not tell of an alarm in XML.
_NOT_TOLD_OF_ALARMS = {
    "actions_enabled",
    "alarm_description",
    "dimensions",
    "period",
    "statistic",
    "treat_missing_data",
}


def main() -> None:
    """Everything, in the order in which a person would; raises what goes wrong."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        module = folder / "infra/terraform"
        shutil.copytree(ROOT / "infra/terraform", module)
        try:
            terraform = terraform_in(module, _environment())
        except Absent as reason:
            print(reason)
            sys.exit(_SKIPPED)
        _look_at(terraform)
        _look_at_the_complete_example(module / "examples/complete")
        with FakeEcs() as ecs:
            elsewhere = {f"AWS_ENDPOINT_URL_{name}": ecs.url for name in ("ECS", "EC2")}
            # MiniStack unpacks functions for each of their workers, and leaves them there.
            python = ROOT / ".envs/ministack/bin/python"
            with ministack(python, elsewhere | {"TMPDIR": str(folder)}) as endpoint:
                _apply_and_destroy(module / "examples/simple", endpoint, ecs, folder)


def _look_at(terraform: Terraform) -> None:
    terraform("fmt", "-check", "-recursive")
    terraform("validate")
    terraform("test")
    _say("formatted, valid, and the module's own tests pass")


def _look_at_the_complete_example(example: Path) -> None:
    """With values in place of what Google Cloud and Azure tell: their providers may be absent."""
    shutil.copytree(ROOT / "tests/infra/complete", example, dirs_exist_ok=True)
    templates = ROOT / "src/push_dispatch/platforms/templates"
    terraform = terraform_in(example, _environment() | {"TF_VAR_templates": str(templates)})
    terraform("validate")
    terraform("test")
    _say("the complete example is valid as far as it is in AWS, and its tests pass")


def _apply_and_destroy(example: Path, endpoint: str, ecs: FakeEcs, folder: Path) -> None:
    bundles = _bundles(folder / "bundles")
    terraform = terraform_in(example, _environment(endpoint) | _variables(bundles))
    terraform("apply", "-auto-approve")
    _check_second_plan(terraform)
    _check_alarms(endpoint)
    _say("applied, and a second plan finds no difference but the emulator's")
    stack = _stack(terraform, endpoint, ecs, folder)
    requests_become_runs_that_finish(stack, "by-terraform")
    what_is_wrong_is_set_aside(stack, "by-terraform")
    stack.take(stack.queues["RejectedQueue"])
    # It is applied without protection, or it could not be destroyed.
    the_doctor_finds_nothing_wrong(stack, "protection")
    _say(
        "runs were dispatched and finished by the applied functions; the doctor finds nothing wrong"
    )
    _the_declared_pool_works(terraform, stack)
    try:
        terraform("destroy", "-auto-approve")
    except AssertionError:
        # An emulator that removes dozens of things at once answers late. What is gone is gone.
        terraform("destroy", "-auto-approve")
    _check_nothing_is_left(stack)
    _say("destroyed, and nothing is left")


def _check_second_plan(terraform: Terraform) -> None:
    changes = terraform.changes()
    elsewhere = [address for address in changes if ".aws_cloudwatch_metric_alarm." not in address]
    assert elsewhere == [], {address: changes[address] for address in elsewhere}
    assert set().union(*changes.values()) <= _NOT_TOLD_OF_ALARMS, changes


def _check_alarms(endpoint: str) -> None:
    """What Terraform does not get to see of them is there."""
    alarms = client("cloudwatch", endpoint).describe_alarms()["MetricAlarms"]
    seen = {
        (a["MetricName"], a["Statistic"], a["Period"], a["TreatMissingData"], a["ActionsEnabled"])
        for a in alarms
    }
    assert seen == {
        ("ApproximateAgeOfOldestMessage", "Maximum", 60, "notBreaching", True),
        ("ApproximateNumberOfMessagesVisible", "Maximum", 60, "notBreaching", True),
        ("EnqueuedLate", "Maximum", 60, "notBreaching", True),
        ("Errors", "Sum", 60, "notBreaching", True),
        ("IteratorAge", "Maximum", 60, "notBreaching", True),
        ("OldestWaiting", "Maximum", 60, "notBreaching", True),
        ("RecursiveInvocationsDropped", "Sum", 60, "notBreaching", True),
        ("SlotDrift", "Maximum", 60, "notBreaching", True),
        ("Throttles", "Sum", 60, "notBreaching", True),
    }, seen
    assert all(alarm["AlarmDescription"] for alarm in alarms), alarms
    everywhere = {alarm["MetricName"] for alarm in alarms if not alarm["Dimensions"]}
    assert everywhere == {"RecursiveInvocationsDropped"}, alarms


def _the_declared_pool_works(terraform: Terraform, stack: Stack) -> None:
    """The pool that the example declares, a change of it, and one that is made past Terraform."""
    shown = stack.cli.ok("pool", "inspect", "etl", "--json").json
    assert (shown["type"], shown["limit"]) == ("ecs", 1), shown
    assert {"urgent", "bulk"} <= {queue["name"] for queue in shown["queues"]}, shown
    text = terraform.folder / "main.tf"
    text.write_text(text.read_text().replace("limit      = 1\n", "limit      = 3\n"))
    assert "module.etl.terraform_data.declaration" in terraform.changes()
    terraform("apply", "-auto-approve")
    shown = stack.cli.ok("pool", "inspect", "etl", "--json").json
    assert shown["limit"] == 3, shown
    _say("the declared pool is there, and a change of it arrives")


def _check_nothing_is_left(stack: Stack) -> None:
    assert stack.client("lambda").list_functions()["Functions"] == []
    assert stack.client("dynamodb").list_tables()["TableNames"] == []
    left = stack.client("sqs").list_queues().get("QueueUrls", [])
    assert left == [stack.heard], left  # which is ours


def _stack(terraform: Terraform, endpoint: str, ecs: FakeEcs, folder: Path) -> Stack:
    """What was applied, as the scenario knows it: by the names of the template."""
    reported = terraform.outputs()["push_dispatch"]
    lambdas = client("lambda", endpoint)
    functions = {
        f"{_camel(name)}Function": lambdas.get_function_configuration(FunctionName=physical)
        for name, physical in reported["function_names"].items()
    }
    environ = {
        **KEYS,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_ECS": ecs.url,
        "PUSH_DISPATCH_TABLE": reported["table_name"],
    }
    return Stack(
        endpoint,
        {"TableName": reported["table_name"], "BusName": reported["bus_name"]},
        functions,
        tuple(lambdas.list_event_source_mappings()["EventSourceMappings"]),
        {"RejectedQueue": reported["queue_urls"]["rejected"]},
        ecs,
        listener(endpoint, reported["bus_name"]),
        Cli(folder, environ),
    )


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _bundles(folder: Path) -> Path:
    """The functions for the interpreter at hand, which the emulator executes them by."""
    target = f"--python {sys.executable}"
    command = ["make", "--no-print-directory", "bundle-base", "bundle-submit"]
    given = [f"BUNDLES_DIR={folder}", f"LAMBDA_TARGET={target}", f"PYTHON={sys.executable}"]
    subprocess.run([*command, *given], cwd=ROOT, check=True, timeout=_MAKE_SECONDS)
    return folder


_MAKE_SECONDS = 300


def _variables(bundles: Path) -> dict[str, str]:
    return {
        "TF_VAR_bundles": str(bundles),
        "TF_VAR_command": str(Path(sys.executable).with_name("push-dispatch")),
        "TF_VAR_deletion_protection": "false",
    }


def _environment(endpoint: str = "") -> dict[str, str]:
    """No account of anybody's: made-up credentials, and the emulator for every service."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return kept | KEYS | ({"AWS_ENDPOINT_URL": endpoint} if endpoint else {})


def _say(what: str) -> None:
    print(f"--- {what}", flush=True)


if __name__ == "__main__":
    main()
