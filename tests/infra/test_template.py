"""Does the SAM template deploy what the code expects?"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cfnlint.decode import cfn_yaml

from push_dispatch.adapters.dynamodb.schema import TABLE
from push_dispatch.adapters.event_bus import DETAIL_TYPE, SOURCE
from push_dispatch.adapters.telemetry import NAMESPACE
from push_dispatch.handlers.notify import NOTIFY_FILTERS
from push_dispatch.handlers.push import MAX_RECEIVES
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.local.filters import matches
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.ecs.handle import started_by
from push_dispatch.ports.meter import METRICS
from push_dispatch.ports.settings import Settings

FILE = Path(__file__).parents[2] / "template.yaml"
TEMPLATE: dict[str, Any] = cfn_yaml.load(str(FILE))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
FUNCTIONS = {n: r for n, r in RESOURCES.items() if r["Type"] == "AWS::Serverless::Function"}
QUEUES = {n: r for n, r in RESOURCES.items() if r["Type"] == "AWS::SQS::Queue"}
#: What a search for metrics looks for: dimensions and name.
#: Queues of orders to platforms.
ORDERS = {"EcsQueue", "CloudRunQueue", "AciQueue", "ModalQueue"}
SEARCHED = re.compile(
    r'\{PushDispatch,([\w,]+)\} service="\$\{AWS::StackName\}" MetricName="(\w+)"'
)
COMMON = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]


@pytest.mark.slow
def test_cfn_lint_finds_nothing() -> None:
    program = [str(Path(sys.executable).with_name("cfn-lint")), str(FILE)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_table_is_the_one_that_the_store_uses() -> None:
    table = RESOURCES["Table"]["Properties"]
    for name in ("BillingMode", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes"):
        assert table[name] == TABLE[name], name
    stream = TABLE["StreamSpecification"]["StreamViewType"]
    assert table["StreamSpecification"]["StreamViewType"] == stream


@pytest.mark.parametrize(
    ("function", "filters"),
    [("DispatchFunction", STREAM_FILTERS), ("NotifyFunction", NOTIFY_FILTERS)],
)
def test_the_stream_is_filtered_as_in_the_code(function: str, filters: list[Any]) -> None:
    stream = FUNCTIONS[function]["Properties"]["Events"]["Stream"]["Properties"]
    patterns = [json.loads(f["Pattern"]) for f in stream["FilterCriteria"]["Filters"]]
    assert patterns == filters
    assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert stream["BisectBatchOnFunctionError"]
    assert stream["DestinationConfig"]["OnFailure"]["Type"] == "SQS"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_exists(name: str) -> None:
    module, _, attribute = FUNCTIONS[name]["Properties"]["Handler"].rpartition(".")
    assert callable(getattr(import_module(module), attribute))


def test_every_environment_variable_is_read_by_somebody() -> None:
    given = set(COMMON)
    for function in FUNCTIONS.values():
        given |= set(function["Properties"].get("Environment", {}).get("Variables", {}))
    source = Path(import_module("push_dispatch").__file__ or "").parent
    code = "".join(file.read_text() for file in source.rglob("*.py"))
    ours = {name for name in given if name.startswith("PUSH_DISPATCH_")}
    suffixes = {name.removeprefix("PUSH_DISPATCH_MANAGED_") for name in ours}
    unread = {n for n in ours if n not in code and not n.startswith("PUSH_DISPATCH_MANAGED_")}
    assert unread == set()
    assert {"CLUSTER", "SUBNETS", "EXECUTION_ROLE_ARN", "LOG_GROUP"} <= suffixes


def test_the_platforms_queues_are_json_with_and_without_the_optional_ones() -> None:
    text, parts = COMMON["PUSH_DISPATCH_PLATFORM_QUEUES"]["Fn::Sub"]
    for chosen in (1, 2):
        filled = text
        for name, choice in parts.items():
            value = choice["Fn::If"][chosen]
            value = value["Fn::Sub"] if isinstance(value, dict) else value
            filled = filled.replace(f"${{{name}}}", value)
        environ = {"PUSH_DISPATCH_TABLE": "t", "PUSH_DISPATCH_PLATFORM_QUEUES": filled}
        platforms = set(Settings.from_env(environ).platform_queues)
        assert {"ecs", "managed"} <= platforms
        assert ({"cloud-run", "aci", "modal"} <= platforms) is (chosen == 1)


@pytest.mark.parametrize("name", [n for n in QUEUES if "RedrivePolicy" in QUEUES[n]["Properties"]])
def test_a_message_is_not_delivered_again_while_it_is_being_handled(name: str) -> None:
    properties = QUEUES[name]["Properties"]
    timeout = TEMPLATE["Globals"]["Function"]["Timeout"]
    # docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times the timeout
    assert properties["VisibilityTimeout"] >= 6 * timeout
    receives = properties["RedrivePolicy"]["maxReceiveCount"]
    # A push that fails for good ends its run; what others fail to do may wait for an outage to end.
    assert receives == MAX_RECEIVES if name in ORDERS else receives >= 100


def test_requests_outlast_an_outage_of_two_days() -> None:
    """Firings of schedules among them; an account with little concurrency spends receives, too."""
    properties = QUEUES["RequestQueue"]["Properties"]
    tries = properties["RedrivePolicy"]["maxReceiveCount"]
    assert tries * properties["VisibilityTimeout"] >= 2 * 86_400
    assert properties["MessageRetentionPeriod"] == 14 * 86_400
    assert RESOURCES["RequestAgeAlarm"]["Properties"]["Threshold"] <= 3600


def test_schedules_fire_at_the_queue_of_requests() -> None:
    target = TEMPLATE["Outputs"]["ScheduleTarget"]["Value"]
    assert target == {"Fn::GetAtt": ["RequestQueue", "Arn"]}
    [policy] = RESOURCES["ScheduleRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": target} in statements


def test_no_queue_takes_all_of_an_accounts_concurrency() -> None:
    mapped = [
        (name, event["Properties"])
        for name, function in FUNCTIONS.items()
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "SQS"
    ]
    assert len(mapped) >= 8
    for name, event in mapped:
        assert "MaximumConcurrency" in event["ScalingConfig"], name
    stream = FUNCTIONS["DispatchFunction"]["Properties"]["Events"]["Stream"]["Properties"]
    assert stream["ParallelizationFactor"] == {"Ref": "StreamParallelization"}
    assert TEMPLATE["Parameters"]["StreamParallelization"]["Default"] == 2


def test_what_dispatch_fails_to_handle_comes_back_to_it() -> None:
    stream = FUNCTIONS["DispatchFunction"]["Properties"]["Events"]["Stream"]["Properties"]
    wake = FUNCTIONS["DispatchFunction"]["Properties"]["Events"]["Wake"]["Properties"]
    assert stream["DestinationConfig"]["OnFailure"]["Destination"] == wake["Queue"]


def test_a_sweep_is_not_repeated_and_its_errors_raise_an_alarm() -> None:
    again = FUNCTIONS["SweepFunction"]["Properties"]["EventInvokeConfig"]
    assert again["MaximumRetryAttempts"] == 0
    alarm = RESOURCES["SweepErrorsAlarm"]["Properties"]
    assert alarm["MetricName"] == "Errors"
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "SweepFunction"}}]


def test_webhooks_have_a_queue_of_their_own() -> None:
    variables = FUNCTIONS["NotifyFunction"]["Properties"]["Environment"]["Variables"]
    assert "PUSH_DISPATCH_WEBHOOKS" not in variables
    [target] = RESOURCES["WebhookRule"]["Properties"]["Targets"]
    changes = FUNCTIONS["WebhookFunction"]["Properties"]["Events"]["Changes"]["Properties"]
    assert target["Arn"] == changes["Queue"] == {"Fn::GetAtt": ["WebhookQueue", "Arn"]}
    pattern = RESOURCES["WebhookRule"]["Properties"]["EventPattern"]
    assert pattern == {"source": [SOURCE], "detail-type": [DETAIL_TYPE]}


def test_only_what_is_given_up_has_no_dead_letter_queue() -> None:
    ends = {n for n in QUEUES if "RedrivePolicy" not in QUEUES[n]["Properties"]}
    assert ends == {n for n in QUEUES if n.endswith("DeadLetters")} | {"RejectedQueue"}
    kept = {QUEUES[n]["Properties"]["MessageRetentionPeriod"] for n in ends}
    assert kept == {14 * 86_400}


def test_what_is_given_up_raises_an_alarm() -> None:
    watched = {
        alarm["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        if isinstance(alarm["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"], list)
        else alarm["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"].partition(".")[0]
        for alarm in RESOURCES.values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
        and alarm["Properties"]["Namespace"] == "AWS/SQS"
    }
    assert watched == {n for n in QUEUES if n.endswith("DeadLetters")} | {"RequestQueue"}


def test_alarms_and_dashboard_look_at_metrics_that_are_told() -> None:
    reported = {(m.name, frozenset(m.dimensions)) for m in METRICS.values()}
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(text)["widgets"]
    seen = set()
    for metric in (m for widget in widgets for m in widget["properties"]["metrics"]):
        if isinstance(metric[0], dict):
            [(by, name)] = SEARCHED.findall(metric[0]["expression"])
            seen.add((name, frozenset(by.split(",")) - {"service"}))
    assert seen
    assert seen <= reported
    summed_up = {m[1] for w in widgets for m in w["properties"]["metrics"] if m[0] == NAMESPACE}
    for alarm in RESOURCES.values():
        if alarm["Type"] == "AWS::CloudWatch::Alarm":
            properties = alarm["Properties"]
            if properties["Namespace"] == NAMESPACE:
                assert [d["Name"] for d in properties["Dimensions"]] == ["service"]
                summed_up.add(properties["MetricName"])
    assert summed_up == {metric.name for metric in METRICS.values() if metric.of_system}
    searched = {name for name, _ in seen}
    assert not searched & summed_up


def test_systems_of_one_account_are_told_apart_by_name() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_whoever_pushes_knows_where_runs_report() -> None:
    for name, function in FUNCTIONS.items():
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        reported = {"PUSH_DISPATCH_REPORT_URL", "PUSH_DISPATCH_REPORT_KEY_NAME"} <= set(variables)
        assert reported == name.startswith("Push"), name


def test_every_function_has_a_log_group_that_forgets() -> None:
    for function in FUNCTIONS.values():
        group = function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        assert "RetentionInDays" in RESOURCES[group]["Properties"]


def test_the_tasks_that_we_start_are_those_whose_changes_we_hear_of() -> None:
    job = Job("pd-x-1", f"p.{UUID(int=1)}", "p", "ecs", 1, {})
    pattern = RESOURCES["TaskRule"]["Properties"]["EventPattern"]
    assert matches(
        pattern,
        {
            "source": "aws.ecs",
            "detail-type": "ECS Task State Change",
            "detail": {"startedBy": started_by(job)},
        },
    )
    assert not matches(pattern["detail"], {"startedBy": "ecs-svc/1"})
