"""Do the SAM template and the Terraform module describe the same system?

Both are evaluated for the same parameters, told in facts, and compared. That the comparison sees
everything is shown by taking things away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infra.tools.cfn import sam_template
from tests.infra.tools.facts import Facts, differences
from tests.infra.tools.template_facts import facts_of_template
from tests.infra.tools.terraform import Sources, read
from tests.infra.tools.terraform_facts import facts_of_terraform

ROOT = Path(__file__).parents[2]
TEMPLATE = sam_template()
SOURCES = read(ROOT / "infra/terraform")

KEY = "arn:aws:kms:eu-central-1:123456789012:key/k"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
CLUSTERS = ["arn:aws:ecs:eu-central-1:123456789012:cluster/a"]
ROLES = ["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"]
OTHERS = ["arn:aws:iam::210987654321:role/c", "arn:aws:iam::210987654321:role/d"]

#: Parameters of the template, and the variables that ask for the same.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "everything": (
        {
            "AlarmTopicArn": TOPIC,
            "Api": "http",
            "AzureClientId": "client",
            "AzureTenantId": "tenant",
            "DeletionProtection": "false",
            "EcsAssumeRoles": ",".join(OTHERS),
            "EcsClusters": ",".join(CLUSTERS),
            "EcsTaskRoles": ",".join(ROLES),
            "EnableAci": "true",
            "EnableCloudRun": "true",
            "EnableModal": "true",
            "EnablePrefect": "true",
            "EnableReporter": "true",
            "ReporterConcurrency": 5,
            "ReporterRate": 20,
            "ReporterUrl": "http",
            "GoogleAudience": "audience",
            "GoogleCloudProject": "project",
            "GoogleServiceAccount": "account",
            "KmsKeyArn": KEY,
            "LogRetentionDays": 7,
            "EnableDashboard": "false",
            "ManagedPublicIp": "ENABLED",
            "ManagedSecurityGroups": "sg-1",
            "ManagedSubnets": "subnet-1,subnet-2",
            "ModalTokenSecret": "token",
            "OldestWaitingSeconds": 600,
            "OtlpEndpoint": "https://otlp.example",
            "OtlpHeadersSecret": "headers",
            "PlatformConcurrency": 20,
            "RunRetentionDays": 30,
            "SecretsPrefix": "mine/",
            "SystemSecretsPrefix": "ours/",
            "StreamParallelization": 5,
            "Eager": "false",
            "Webhooks": '[{"url": "https://a.example", "secret": "s", "pools": ["p"]}]',
        },
        {
            "aci": {"client_id": "client", "tenant_id": "tenant"},
            "alarm_topic_arn": TOPIC,
            "api": "http",
            "ecs_assume_roles": OTHERS,
            "ecs_clusters": CLUSTERS,
            "ecs_task_roles": ROLES,
            "cloud_run": {
                "audience": "audience",
                "project": "project",
                "service_account": "account",
            },
            "deletion_protection": False,
            "enable_dashboard": False,
            "enable_prefect": True,
            "enable_reporter": True,
            "reporter_concurrency": 5,
            "reporter_rate": 20,
            "reporter_url": "http",
            "kms_key_arn": KEY,
            "log_retention_days": 7,
            "managed": {
                "public_ip": True,
                "security_groups": ["sg-1"],
                "subnets": ["subnet-1", "subnet-2"],
            },
            "modal": {"token_secret": "token"},
            "oldest_waiting_seconds": 600,
            "otlp": {"endpoint": "https://otlp.example", "headers_secret": "headers"},
            "platform_concurrency": 20,
            "run_retention_days": 30,
            "secrets_prefix": "mine/",
            "system_secrets_prefix": "ours/",
            "stream_parallelization": 5,
            "eager": False,
            "webhooks": [{"url": "https://a.example", "secret": "s", "pools": ["p"]}],
        },
    ),
    "Cloud Run": ({"EnableCloudRun": "true"}, {"cloud_run": {}}),
    "ACI": ({"EnableAci": "true"}, {"aci": {}}),
    "Modal, and roles": (
        {"EnableModal": "true", "EcsTaskRoles": ",".join(ROLES)},
        {"modal": {}, "ecs_task_roles": ROLES},
    ),
    "API": ({"Api": "url"}, {"api": "url"}),
    "reporter": (
        {
            "EnableReporter": "true",
            "EnableAci": "true",
            "EnableCloudRun": "true",
            "EnableModal": "true",
        },
        {"enable_reporter": True, "aci": {}, "cloud_run": {}, "modal": {}},
    ),
    "prefect": ({"EnablePrefect": "true"}, {"enable_prefect": True}),
    "managed": ({"ManagedSubnets": "subnet-1"}, {"managed": {"subnets": ["subnet-1"]}}),
}


@pytest.mark.parametrize("case", CASES)
def test_both_describe_the_same_system(case: str) -> None:
    parameters, variables = CASES[case]
    described = facts_of_template(TEMPLATE, parameters)
    assert differences(described, _terraform(SOURCES, variables)) == []
    assert len(described) > 300


def test_every_parameter_is_compared_with_another_value_than_its_default() -> None:
    changed = {name for parameters, _ in CASES.values() for name in parameters}
    assert changed == set(TEMPLATE["Parameters"])
    # The name is the stack's, where the template is concerned, and CloudFormation makes those of
    # roles; the bundles are built by SAM; and tags are given to `sam deploy`.
    variables = {name for _, given in CASES.values() for name in given}
    assert variables | {"name", "role_prefix", "bundles", "tags"} == _variables()


def test_who_sends_to_a_queue_that_calls_it_is_allowed_to() -> None:
    """Lambda stops what looks like a loop after 16 messages, unless the function says otherwise."""
    facts = facts_of_template(TEMPLATE, CASES["everything"][0])
    looping = {path.split(".")[1] for path in facts if path.endswith(".recursive loop")}
    assert looping == {"Dispatch", "PushEcs", "PushCloudRun", "PushAci", "PushModal", "Prefect"}
    assert looping == {name for name in _functions(facts) if _sends_to_itself(facts, name)}


def _functions(facts: Facts) -> set[str]:
    return {path.split(".")[1] for path in facts if path.startswith("functions.")}


def _sends_to_itself(facts: Facts, name: str) -> bool:
    own = f"functions.{name}.may "
    verbs = [path.removeprefix(own) for path in facts if path.startswith(own)]
    queues = {verb.split(" on ")[1] for verb in verbs if verb.startswith("sqs:ReceiveMessage on ")}
    return any(f"sqs:SendMessage on {queue}" in verbs for queue in queues)


@pytest.mark.parametrize(
    "place",
    [
        ("PushAciFunction", "Properties", "RecursiveLoop"),
        ("ThrottlesAlarm",),
        ("PushModalFunction", "Properties", "Environment", "Variables", "PUSH_DISPATCH_REPORT_URL"),
        ("NotifyFunctionRole", "Properties", "Policies", 0, "PolicyDocument", "Statement", 1),
        ("WakeQueue", "Properties", "RedrivePolicy"),
    ],
    ids=["a loop", "an alarm", "a variable", "a permission", "redrive"],
)
def test_what_the_template_loses_is_missed(place: tuple[Any, ...]) -> None:
    assert _is_missed(("Resources", *place), "everything")


@pytest.mark.slow
def test_whatever_the_template_loses_is_missed() -> None:
    """Every variable, permission, alarm, setting of a source, a queue, a table… one by one; what
    holds only where something is not asked for, or asked for otherwise, is missed there."""
    places = list(_places(TEMPLATE["Resources"], ("Resources",)))
    assert len(places) > 500
    cases = ("everything", "defaults", "API", "reporter")
    unseen = [p for p in places if not any(_is_missed(p, case) for case in cases)]
    assert unseen == []


@pytest.mark.parametrize(
    ("file", "there", "instead"),
    [
        pytest.param("push.tf", ', "ecs:StopTask"', "", id="a permission of one function"),
        pytest.param("permissions.tf", ', "dynamodb:Query"', "", id="a permission of many"),
        pytest.param("functions.tf", "/index/ticks", "/index/*", id="a resource"),
        pytest.param("push.tf", '"ecs:CreateAction"', '"ecs:cluster"', id="what is looked at"),
        pytest.param("events.tf", "ArnEquals", "StringEquals", id="a condition"),
        pytest.param(
            "alarms.tf", "for_each = aws_sqs_queue.dead_letters", "for_each = {}", id="alarms"
        ),
        pytest.param("modules/function/main.tf", "recursive_loop = ", "#", id="a loop"),
        pytest.param("alarms.tf", "30000", "60000", id="a threshold"),
        pytest.param("alarms.tf", "IteratorAge", "Errors", id="a metric"),
        pytest.param(
            "functions.tf",
            'POWERTOOLS_LOG_LEVEL                = "INFO"',
            "",
            id="a variable of all",
        ),
        pytest.param("push.tf", "AZURE_TENANT_ID = var.aci.tenant_id", "", id="a variable of one"),
        pytest.param("functions.tf", '"CANCELLING", ', "", id="a part of a filter"),
        pytest.param("functions.tf", "timeout_seconds = 55", "", id="a timeout"),
        pytest.param("functions.tf", "handlers.finish", "handlers.sweep", id="a handler"),
        pytest.param("modules/function/variables.tf", "= 512", "= 256", id="memory"),
        pytest.param("modules/function/main.tf", "= var.timeout_seconds", "= 3", id="a wire"),
        pytest.param("modules/function/variables.tf", "number, 10)", "number, 1)", id="a batch"),
        pytest.param("modules/function/main.tf", "TRIM_HORIZON", "LATEST", id="a position"),
        pytest.param("modules/function/main.tf", '"sqs:DeleteMessage", ', "", id="what SAM grants"),
        pytest.param("queues.tf", "= 180", "= 30", id="visibility"),
        pytest.param("queues.tf", "= 1000", "= 2", id="redrive"),
        pytest.param(
            "queues.tf", 'dead_letters = "aci"', 'dead_letters = "all"', id="dead letters"
        ),
        pytest.param("table.tf", '"NEW_AND_OLD_IMAGES"', '"NEW_IMAGE"', id="the stream"),
        pytest.param(
            "reporter.tf", '= "NONE"\n  target', '= "AWS_IAM"\n  target', id="an authorization"
        ),
        pytest.param("reporter.tf", "= var.reporter_rate", "= 1", id="a ceiling"),
    ],
)
def test_what_terraform_loses_is_missed(file: str, there: str, instead: str) -> None:
    assert there in SOURCES[file]
    sources = {**SOURCES, file: SOURCES[file].replace(there, instead, 1)}
    try:
        described = _terraform(sources, CASES["everything"][1])
    except (LookupError, ValueError):
        return
    assert differences(_template("everything"), described) != []


def _is_missed(place: tuple[Any, ...], case: str) -> bool:
    """Whether a template without what is there is no longer the same, or is not understood."""
    try:
        described = facts_of_template(_without(TEMPLATE, place), CASES[case][0])
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
        return True
    return differences(described, _template(case)) != []


def _without(held: Any, place: tuple[Any, ...]) -> Any:
    """A copy without what is there."""
    first, *rest = place
    copy = dict(held) if isinstance(held, Mapping) else list(held)
    if rest:
        copy[first] = _without(held[first], tuple(rest))
    else:
        del copy[first]
    return copy


_NOT_COMPARED = {"DeletionPolicy", "Metadata", "PolicyName", "UpdateReplacePolicy", "Version"}


def _places(held: Any, way: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The way to everything that can be taken away, but for what is looked at by SAM and checkov
    only, what is a name for people, and a Ref to nothing."""
    inner = held.items() if isinstance(held, Mapping) else enumerate(held)
    for step, node in inner:
        if step in _NOT_COMPARED or (step, node) == ("Ref", "AWS::NoValue"):
            continue
        yield (*way, step)
        if isinstance(node, Mapping | list):
            yield from _places(node, (*way, step))


@cache
def _template(case: str) -> Facts:
    return facts_of_template(TEMPLATE, CASES[case][0])


def _terraform(sources: Sources, variables: Mapping[str, Any]) -> Facts:
    return facts_of_terraform(sources, {"bundles": "build/bundles", **variables})


def _variables() -> set[str]:
    lines = SOURCES["variables.tf"].splitlines()
    return {line.split('"')[1] for line in lines if line.startswith("variable ")}
