"""Which system does the Terraform module describe, for given variables? In facts.

Names are the template's: `module.dispatch` is DispatchFunction, `aws_sqs_queue.queue["ecs"]` is
EcsQueue."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.infra.tools.facts import Facts, allowed, tell
from tests.infra.tools.terraform import Module, Resource, Sources

__all__ = ["facts_of_terraform"]

Arguments = Mapping[str, Any]


def facts_of_terraform(sources: Sources, variables: Mapping[str, Any]) -> Facts:
    """All facts. Raises LookupError for what is not understood."""
    facts: Facts = {}
    module = Module(sources, variables)
    for resource in module.resources():
        name = _logical(f"{resource.module}{resource.type}.{resource.name}")
        _KINDS[resource.type](facts, name, _renamed(resource).arguments)
    for output, template_has in _OUTPUTS.items():
        shown = module[output]
        tell(facts, f"outputs.{template_has}", shown and _reference(shown))
    return facts


# -- names ----------------------------------------------------------------------------------------

_OUTPUTS = {
    "table_name": "TableName",
    "bus_name": "BusName",
    "request_queue_arn": "RequestQueueArn",
    "finish_queue_arn": "FinishQueueArn",
    "schedule_group": "ScheduleGroup",
    "schedule_target": "ScheduleTarget",
    "schedule_role_arn": "ScheduleRoleArn",
    "api_url": "ApiUrl",
    "prefect_url": "PrefectUrl",
}

#: What is there once for each function.
_OF_FUNCTION = {
    "aws_lambda_function": "Function",
    "aws_cloudwatch_log_group": "Logs",
    "aws_iam_role": "FunctionRole",
}

#: What follows a name in the template, by type, and the name of a resource that stands for many.
_SUFFIXES = {
    ("aws_sqs_queue", "queue"): "Queue",
    ("aws_sqs_queue", "dead_letters"): "DeadLetters",
    ("aws_sqs_queue", "rejected"): "Queue",
    ("aws_cloudwatch_metric_alarm", "dead_letters"): "DeadLettersAlarm",
    ("aws_cloudwatch_metric_alarm", "dispatch"): "Alarm",
    ("aws_cloudwatch_metric_alarm", "request_age"): "Alarm",
    ("aws_cloudwatch_metric_alarm", "sweep_errors"): "Alarm",
    ("aws_cloudwatch_metric_alarm", "recursion"): "Alarm",
    ("aws_cloudwatch_metric_alarm", "system"): "Alarm",
    ("aws_cloudwatch_event_rule", ""): "Rule",
    ("aws_lambda_function_url", ""): "FunctionUrl",
}

#: What Terraform calls an attribute; empty for what Ref gives.
_ATTRIBUTES = {
    "api_endpoint": ".ApiEndpoint",
    "arn": ".Arn",
    "function_name": "",
    "function_url": ".FunctionUrl",
    "id": "",
    "name": "",
    "outputs.Arn": "",
    "stream_arn": ".StreamArn",
    "url": "",
}

_PSEUDO = {
    "data.aws_caller_identity.current.account_id": "AWS::AccountId",
    "data.aws_partition.current.partition": "AWS::Partition",
    "data.aws_region.current.id": "AWS::Region",
}


def _logical(address: str) -> str:
    """The template's name of a resource."""
    match = re.fullmatch(r"(?:module\.(\w+)\.)?(\w+)\.(\w+)(?:\[(\w+)\])?", address)
    if not match:
        raise LookupError(address)
    module, kind, name, key = match.groups()
    if module:
        return _camel(module) + _OF_FUNCTION.get(kind, kind)
    suffix = _SUFFIXES.get((kind, name), _SUFFIXES.get((kind, ""), ""))
    return _camel("" if key == "all" else key or name) + suffix


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _reference(text: str) -> str:
    """A text with the template's references in it."""
    return re.sub(r"<([^<>]+)>", lambda match: f"<{_target(match[1])}>", text)


def _target(address: str) -> str:
    if address in _PSEUDO:
        return _PSEUDO[address]
    match = re.fullmatch(r"(.+?\.?\w+\.\w+(?:\[\w+\])?)\.((?:outputs\.)?\w+)", address)
    if not match:
        raise LookupError(address)
    resource, attribute = match.groups()
    if resource.startswith("aws_sqs_queue.") and attribute == "name":
        return f"{_logical(resource)}.QueueName"
    return _logical(resource) + _ATTRIBUTES[attribute]


def _renamed(resource: Resource) -> Resource:
    def renamed(held: Any) -> Any:
        if isinstance(held, str):
            return _reference(held)
        if isinstance(held, Mapping):
            return {key: renamed(inner) for key, inner in held.items()}
        return [renamed(inner) for inner in held] if isinstance(held, list) else held

    return Resource(resource.type, resource.name, resource.module, renamed(resource.arguments))


# -- functions ------------------------------------------------------------------------------------


def _function(facts: Facts, name: str, given: Arguments) -> None:
    path = f"functions.{name.removesuffix('Function')}"
    [environment], [logging] = given["environment"], given["logging_config"]
    tell(facts, f"{path}.handler", given["handler"])
    tell(facts, f"{path}.runtime", given["runtime"])
    tell(facts, f"{path}.architectures", given["architectures"])
    tell(facts, f"{path}.memory", given["memory_size"])
    tell(facts, f"{path}.timeout", given["timeout"])
    tell(facts, f"{path}.environment", environment["variables"])
    tell(facts, f"{path}.log.LogFormat", logging["log_format"])
    tell(facts, f"{path}.log.LogGroup", logging["log_group"])
    tell(facts, f"{path}.concurrency", given.get("reserved_concurrent_executions"))


def _asynchronous(facts: Facts, _: str, given: Arguments) -> None:
    path = f"functions.{given['function_name'].strip('<>').removesuffix('Function')}.asynchronous"
    tell(facts, f"{path}.MaximumRetryAttempts", given["maximum_retry_attempts"])
    tell(facts, f"{path}.MaximumEventAgeInSeconds", given["maximum_event_age_in_seconds"])


def _recursion(facts: Facts, _: str, given: Arguments) -> None:
    function = given["function_name"].strip("<>").removesuffix("Function")
    tell(facts, f"functions.{function}.recursive loop", given["recursive_loop"])


def _mapping(facts: Facts, _: str, given: Arguments) -> None:
    function = given["function_name"].strip("<>").removesuffix(".Arn")
    found = {
        _SOURCES[name]: held
        for name, held in given.items()
        if name not in {"function_name", "event_source_arn", "tags", *_NESTED}
    }
    for scaling in given.get("scaling_config", []):
        found["ScalingConfig"] = {"MaximumConcurrency": scaling["maximum_concurrency"]}
    for destination in given.get("destination_config", []):
        found["DestinationConfig"] = destination["on_failure"][0]["destination_arn"]
    for criteria in given.get("filter_criteria", []):
        found["FilterCriteria"] = [f["pattern"] for f in criteria["filter"]]
    if found.get("ParallelizationFactor") == 1:
        del found["ParallelizationFactor"]  # as it is when nobody says so
    tell(facts, f"sources.{given['event_source_arn']} to {function}", found)


_NESTED = {"scaling_config", "destination_config", "filter_criteria"}
_SOURCES = {
    "batch_size": "BatchSize",
    "bisect_batch_on_function_error": "BisectBatchOnFunctionError",
    "function_response_types": "FunctionResponseTypes",
    "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
    "maximum_retry_attempts": "MaximumRetryAttempts",
    "parallelization_factor": "ParallelizationFactor",
    "starting_position": "StartingPosition",
}


def _url(facts: Facts, name: str, given: Arguments) -> None:
    path = f"functions.{name.removesuffix('FunctionUrl')}.url"
    tell(facts, f"{path}.AuthType", given["authorization_type"])


def _permission(facts: Facts, _: str, given: Arguments) -> None:
    """SAM makes that of a schedule by itself: looked at here."""
    if given["action"] == "lambda:InvokeFunctionUrl":
        held = {_camel(key): value for key, value in given.items()}
        tell(facts, f"permissions.public {given['action']} {given['function_name']}", held)
        return
    rule = given["source_arn"].strip("<>").removesuffix(".Arn")
    tell(facts, f"permissions.{rule} calls {given['function_name']}", given["principal"])


# -- roles ----------------------------------------------------------------------------------------


def _role(facts: Facts, name: str, given: Arguments) -> None:
    path = f"roles.{name}"
    if name.endswith("FunctionRole"):
        path = f"functions.{name.removesuffix('FunctionRole')}"
    for may in set(allowed(json.loads(given["assume_role_policy"])["Statement"])):
        tell(facts, f"{path}.trusts {may}", True)


def _role_policy(facts: Facts, _: str, given: Arguments) -> None:
    role = given["role"].strip("<>")
    path = f"roles.{role}"
    if role.endswith("FunctionRole"):
        path = f"functions.{role.removesuffix('FunctionRole')}"
    # The same may be granted for two reasons: the wake queue takes wakes, and what was given up.
    for may in set(allowed(json.loads(given["policy"])["Statement"])):
        tell(facts, f"{path}.may {may}", True)


def _attachment(facts: Facts, _: str, given: Arguments) -> None:
    tell(facts, f"roles.{given['role'].strip('<>')}.has {given['policy_arn']}", True)


# -- queues, alarms, events ---------------------------------------------------------------------


def _queue(facts: Facts, name: str, given: Arguments) -> None:
    path = f"queues.{name}"
    tell(facts, f"{path}.is", "there")
    tell(facts, f"{path}.VisibilityTimeout", given.get("visibility_timeout_seconds"))
    tell(facts, f"{path}.MessageRetentionPeriod", given.get("message_retention_seconds"))
    tell(facts, f"{path}.KmsMasterKeyId", given["kms_master_key_id"])
    tell(facts, f"{path}.RedrivePolicy", given.get("redrive_policy"))


def _queue_policy(facts: Facts, _: str, given: Arguments) -> None:
    for may in allowed(json.loads(given["policy"])["Statement"]):
        tell(facts, f"queues.{given['queue_url'].strip('<>')}.lets {may}", True)


def _alarm(facts: Facts, name: str, given: Arguments) -> None:
    dimensions = given.get("dimensions") or {}
    renamed = {
        _camel(key): None if held == [] else held
        for key, held in given.items()
        if key not in {"alarm_name", "dimensions", "tags"}
    }
    if dimensions:
        renamed["Dimensions"] = [{"Name": n, "Value": held} for n, held in dimensions.items()]
    tell(facts, f"alarms.{name}", renamed)


def _dashboard(facts: Facts, name: str, given: Arguments) -> None:
    tell(facts, f"others.{name}.DashboardName", given["dashboard_name"])
    tell(facts, f"others.{name}.DashboardBody", given["dashboard_body"])


def _rule(facts: Facts, name: str, given: Arguments) -> None:
    tell(facts, f"rules.{name}.bus", given.get("event_bus_name", "default"))
    tell(facts, f"rules.{name}.description", given["description"])
    tell(facts, f"rules.{name}.schedule", given.get("schedule_expression"))
    tell(facts, f"rules.{name}.pattern", given.get("event_pattern"))


def _target_of_rule(facts: Facts, _: str, given: Arguments) -> None:
    rule = given["rule"].strip("<>")
    path = f"rules.{rule}.targets.{given['target_id']}"
    tell(facts, f"{path}.Arn", given["arn"])
    for config in given.get("dead_letter_config", []):
        tell(facts, f"{path}.DeadLetterConfig.Arn", config["arn"])


# -- the rest -------------------------------------------------------------------------------------


def _logs(facts: Facts, name: str, given: Arguments) -> None:
    tell(facts, f"logs.{name}.RetentionInDays", given["retention_in_days"])
    tell(facts, f"logs.{name}.KmsKeyId", given["kms_key_id"])


def _table(facts: Facts, name: str, given: Arguments) -> None:
    path = f"tables.{name}"
    [recovery], [ttl] = given["point_in_time_recovery"], given["ttl"]
    tell(facts, f"{path}.BillingMode", given["billing_mode"])
    tell(facts, f"{path}.KeySchema", _keys(given))
    tell(facts, f"{path}.DeletionProtectionEnabled", given["deletion_protection_enabled"])
    tell(facts, f"{path}.StreamSpecification.StreamViewType", given["stream_view_type"])
    specification = {"PointInTimeRecoveryEnabled": recovery["enabled"]}
    tell(facts, f"{path}.PointInTimeRecoverySpecification", specification)
    tell(facts, f"{path}.TimeToLiveSpecification.AttributeName", ttl["attribute_name"])
    tell(facts, f"{path}.TimeToLiveSpecification.Enabled", ttl["enabled"])
    for a in given["attribute"]:
        shown = {"AttributeName": a["name"], "AttributeType": a["type"]}
        tell(facts, f"{path}.attributes.{a['name']}", shown)
    for index in given["global_secondary_index"]:
        shown_index = {
            "IndexName": index["name"],
            "KeySchema": _keys(index),
            "Projection": {"ProjectionType": index["projection_type"]},
        }
        tell(facts, f"{path}.indexes.{index['name']}", shown_index)
    for encrypted in given.get("server_side_encryption", []):
        own = {
            "SSEEnabled": encrypted["enabled"],
            "SSEType": "KMS",
            "KMSMasterKeyId": encrypted["kms_key_arn"],
        }
        tell(facts, f"{path}.SSESpecification", own)


def _keys(given: Arguments) -> list[dict[str, str]]:
    return [
        {"AttributeName": given["hash_key"], "KeyType": "HASH"},
        {"AttributeName": given["range_key"], "KeyType": "RANGE"},
    ]


def _named(facts: Facts, name: str, given: Arguments) -> None:
    tell(facts, f"others.{name}.Name", given["name"])


def _cluster(facts: Facts, name: str, given: Arguments) -> None:
    settings = [{"Name": s["name"], "Value": s["value"]} for s in given["setting"]]
    tell(facts, f"others.{name}.ClusterSettings", settings)


def _providers(facts: Facts, _: str, given: Arguments) -> None:
    name = given["cluster_name"].strip("<>")
    tell(facts, f"others.{name}.CapacityProviders", given["capacity_providers"])


def _by_cloudformation(facts: Facts, name: str, given: Arguments) -> None:
    """What the provider cannot say; see reporter.tf."""
    for made in json.loads(given["template_body"])["Resources"].values():
        if made["Type"] == "AWS::SecretsManager::Secret":
            tell(facts, f"others.{name}", made["Properties"])
        else:
            assert made["Type"] == "AWS::Lambda::Permission", made
            held = made["Properties"]
            tell(facts, f"permissions.public {held['Action']} {held['FunctionName']}", held)


def _of_http_api(facts: Facts, name: str, given: Arguments) -> None:
    renamed = {_camel(key): held for key, held in given.items() if key != "tags"}
    for settings in renamed.get("DefaultRouteSettings", []):
        renamed["DefaultRouteSettings"] = {_camel(key): held for key, held in settings.items()}
    for settings in renamed.get("AccessLogSettings", []):
        renamed["AccessLogSettings"] = {_camel(key): held for key, held in settings.items()}
    if name.endswith("Stage"):
        renamed["StageName"] = renamed.pop("Name")
    tell(facts, f"others.{name}", renamed)


_KINDS: Mapping[str, Callable[[Facts, str, Arguments], None]] = {
    "aws_apigatewayv2_api": _of_http_api,
    "aws_apigatewayv2_integration": _of_http_api,
    "aws_apigatewayv2_route": _of_http_api,
    "aws_apigatewayv2_stage": _of_http_api,
    "aws_cloudformation_stack": _by_cloudformation,
    "aws_cloudwatch_dashboard": _dashboard,
    "aws_cloudwatch_event_bus": _named,
    "aws_cloudwatch_event_rule": _rule,
    "aws_cloudwatch_event_target": _target_of_rule,
    "aws_cloudwatch_log_group": _logs,
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_dynamodb_table": _table,
    "aws_ecs_cluster": _cluster,
    "aws_ecs_cluster_capacity_providers": _providers,
    "aws_iam_role": _role,
    "aws_iam_role_policy": _role_policy,
    "aws_iam_role_policy_attachment": _attachment,
    "aws_lambda_event_source_mapping": _mapping,
    "aws_lambda_function": _function,
    "aws_lambda_function_event_invoke_config": _asynchronous,
    "aws_lambda_function_recursion_config": _recursion,
    "aws_lambda_function_url": _url,
    "aws_lambda_permission": _permission,
    "aws_scheduler_schedule_group": _named,
    "aws_sqs_queue": _queue,
    "aws_sqs_queue_policy": _queue_policy,
}
