"""Which system does the SAM template describe, for given parameters? In facts.

A type of resource that nobody has thought of is an error, so that nothing is left out of the
comparison by being new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.infra.tools.cfn import Template
from tests.infra.tools.facts import Facts, allowed, tell

__all__ = ["facts_of_template"]

Properties = Mapping[str, Any]


def facts_of_template(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> Facts:
    """All facts. Raises LookupError for what is not understood."""
    facts: Facts = {}
    made = Template(template, parameters)
    for name, kind, properties in made.resources():
        _KINDS[kind](facts, name, properties)
    for name, shown in made.outputs().items():
        tell(facts, f"outputs.{name}", shown)
    return facts


def _function(facts: Facts, name: str, given: Properties) -> None:
    path = f"functions.{name.removesuffix('Function')}"
    tell(facts, f"{path}.handler", given["Handler"])
    tell(facts, f"{path}.runtime", given["Runtime"])
    tell(facts, f"{path}.architectures", given["Architectures"])
    tell(facts, f"{path}.memory", given["MemorySize"])
    tell(facts, f"{path}.timeout", given["Timeout"])
    tell(facts, f"{path}.environment", given["Environment"]["Variables"])
    tell(facts, f"{path}.log", given["LoggingConfig"])
    tell(facts, f"{path}.concurrency", given.get("ReservedConcurrentExecutions"))
    tell(facts, f"{path}.url", given.get("FunctionUrlConfig"))
    assert given["Role"] == f"<{name}Role.Arn>", given["Role"]
    assert "Policies" not in given, name
    tell(facts, f"{path}.asynchronous", given.get("EventInvokeConfig"))
    tell(facts, f"{path}.recursive loop", given.get("RecursiveLoop"))
    for event, declared in given.get("Events", {}).items():
        _event(facts, name, event, declared)


def _event(facts: Facts, function: str, name: str, declared: Properties) -> None:
    kind, given = declared["Type"], declared["Properties"]
    if kind == "Schedule":
        rule = f"{name}Rule"
        tell(facts, f"rules.{rule}.bus", "default")
        tell(facts, f"rules.{rule}.description", given.get("Description"))
        tell(facts, f"rules.{rule}.schedule", given["Schedule"])
        target = function.removesuffix("Function").lower()
        tell(facts, f"rules.{rule}.targets.{target}.Arn", f"<{function}.Arn>")
        tell(facts, f"permissions.{rule} calls <{function}>", "events.amazonaws.com")
        return
    source = given["Queue"] if kind == "SQS" else given["Stream"]
    path = f"sources.{source} to {function}"
    renamed = {name: held for name, held in given.items() if name not in {"Queue", "Stream"}}
    if "DestinationConfig" in given:
        destination = given["DestinationConfig"]["OnFailure"]
        assert destination["Type"] == "SQS", destination
        renamed["DestinationConfig"] = destination["Destination"]
    if "FilterCriteria" in given:
        renamed["FilterCriteria"] = [f["Pattern"] for f in given["FilterCriteria"]["Filters"]]
    tell(facts, path, renamed)


def _url(facts: Facts, _: str, given: Properties) -> None:
    function = given["TargetFunctionArn"].strip("<>").removesuffix("Function")
    tell(facts, f"functions.{function}.url.AuthType", given["AuthType"])


def _permission(facts: Facts, _: str, given: Properties) -> None:
    if given["Principal"] == "*":
        tell(facts, f"permissions.public {given['Action']} {given['FunctionName']}", given)
        return
    assert given["Action"] == "lambda:InvokeFunction", given
    path = f"permissions.{given['SourceArn']} calls {given['FunctionName']}"
    tell(facts, path, given["Principal"])


def _queue(facts: Facts, name: str, given: Properties) -> None:
    tell(facts, f"queues.{name}", {"is": "there", **given})


def _alarm(facts: Facts, name: str, given: Properties) -> None:
    tell(facts, f"alarms.{name}", given)


def _logs(facts: Facts, name: str, given: Properties) -> None:
    tell(facts, f"logs.{name}", given)


def _role(facts: Facts, name: str, given: Properties) -> None:
    path = f"roles.{name}"
    if name.endswith("FunctionRole"):
        path = f"functions.{name.removesuffix('FunctionRole')}"
    for may in allowed(given["AssumeRolePolicyDocument"]["Statement"]):
        tell(facts, f"{path}.trusts {may}", True)
    for arn in given.get("ManagedPolicyArns", []):
        tell(facts, f"{path}.has {arn}", True)
    granted: set[str] = set()
    for policy in given.get("Policies", []):
        assert policy["PolicyDocument"]["Version"] == "2012-10-17", name
        for may in allowed(policy["PolicyDocument"]["Statement"]):
            # CloudFormation's ARN of a log group has the streams in it, Terraform's has not.
            granted.add(may.replace("Logs.Arn>", "Logs.Arn>:*") if " on <" in may else may)
    # The same may be granted for two reasons.
    for may in granted:
        tell(facts, f"{path}.may {may}", True)


def _rule(facts: Facts, name: str, given: Properties) -> None:
    path = f"rules.{name}"
    tell(facts, f"{path}.bus", given.get("EventBusName", "default"))
    tell(facts, f"{path}.description", given.get("Description"))
    tell(facts, f"{path}.schedule", given.get("ScheduleExpression"))
    tell(facts, f"{path}.pattern", given.get("EventPattern"))
    for target in given["Targets"]:
        rest = {key: held for key, held in target.items() if key != "Id"}
        tell(facts, f"{path}.targets.{target['Id']}", rest)


def _queue_policy(facts: Facts, _: str, given: Properties) -> None:
    """Of the resources that are named for several queues each queue takes its own."""
    statements = given["PolicyDocument"]["Statement"]
    for queue in given["Queues"]:
        arn = f"{queue.rstrip('>')}.Arn>"
        for may in allowed([{**s, "Resource": arn} for s in statements if arn in s["Resource"]]):
            tell(facts, f"queues.{queue.strip('<>')}.lets {may}", True)


def _table(facts: Facts, name: str, given: Properties) -> None:
    for attribute in given["AttributeDefinitions"]:
        tell(facts, f"tables.{name}.attributes.{attribute['AttributeName']}", attribute)
    indexes = {i["IndexName"]: i for i in given["GlobalSecondaryIndexes"]}
    left = {k: v for k, v in given.items() if not k.startswith(("Attribute", "GlobalSecondary"))}
    tell(facts, f"tables.{name}", left)
    tell(facts, f"tables.{name}.indexes", indexes)


def _named(facts: Facts, name: str, given: Properties) -> None:
    tell(facts, f"others.{name}", given)


_KINDS: Mapping[str, Callable[[Facts, str, Properties], None]] = {
    "AWS::ApiGatewayV2::Api": _named,
    "AWS::ApiGatewayV2::Integration": _named,
    "AWS::ApiGatewayV2::Route": _named,
    "AWS::ApiGatewayV2::Stage": _named,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _named,
    "AWS::DynamoDB::Table": _table,
    "AWS::ECS::Cluster": _named,
    "AWS::Events::EventBus": _named,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::Role": _role,
    "AWS::Lambda::Permission": _permission,
    "AWS::Lambda::Url": _url,
    "AWS::Logs::LogGroup": _logs,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::Scheduler::ScheduleGroup": _named,
    "AWS::SecretsManager::Secret": _named,
    "AWS::Serverless::Function": _function,
}
