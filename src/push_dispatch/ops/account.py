"""What does AWS say of a system? One question per method, answered in the words of `system`.

Every queue and function is found from the table's name: functions by the environment that names
the table, queues by what invokes functions and by what their environments name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.config import Config
from botocore.exceptions import ClientError

from push_dispatch.ops.system import Function, Queue, Rule, Source, System, queues_of

if TYPE_CHECKING:
    import boto3

__all__ = ["Account", "FunctionFailed", "code_of"]

_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard"})
_HANDLER = "push_dispatch.handlers."


class FunctionFailed(Exception):
    """The function raised, could not be loaded, or took too long."""


class Account:
    """One account and region, as the person who asks may see it. Lets the SDK's errors pass."""

    #: What whoever examines a system must be allowed to do; `lambda:InvokeFunction` of the
    #: functions that push, to have them sign in.
    iam_actions: ClassVar[tuple[str, ...]] = (
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive",
        "events:DescribeRule",
        "events:ListRuleNamesByTarget",
        "iam:SimulatePrincipalPolicy",
        "kms:GetKeyPolicy",
        "lambda:GetAccountSettings",
        "lambda:GetFunctionConfiguration",
        "lambda:InvokeFunction",
        "lambda:ListEventSourceMappings",
        "lambda:ListFunctions",
        "scheduler:ListSchedules",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
    )

    def __init__(self, session: boto3.Session, endpoint: str | None = None) -> None:
        """`endpoint` is where everything is, if not in AWS."""
        self._session: Any = session
        self._endpoint = endpoint
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client of the SDK; made once."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service, config=_CONFIG, endpoint_url=self._endpoint
            )
        return self._clients[service]

    # -- the table -------------------------------------------------------------------------------

    def table(self, name: str) -> tuple[dict[str, Any], int]:
        """The table, and the time of AWS in epoch milliseconds, to the second."""
        reply = self.client("dynamodb").describe_table(TableName=name)
        at = parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"])
        return reply["Table"], int(at.timestamp() * 1000)

    def recovery(self, table: str) -> bool:
        """Whether the table can be restored as of any second."""
        reply = self.client("dynamodb").describe_continuous_backups(TableName=table)
        answered = reply["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return bool(answered.get("PointInTimeRecoveryStatus") == "ENABLED")

    def expiry(self, table: str) -> str:
        """The attribute by which items are deleted; empty if none are."""
        reply = self.client("dynamodb").describe_time_to_live(TableName=table)
        answered = reply["TimeToLiveDescription"]
        return (
            str(answered.get("AttributeName", ""))
            if answered["TimeToLiveStatus"] == "ENABLED"
            else ""
        )

    def key_policy(self, key: str) -> dict[str, Any]:
        """The policy of a key of KMS."""
        reply = self.client("kms").get_key_policy(KeyId=key, PolicyName="default")
        policy: dict[str, Any] = json.loads(reply["Policy"])
        return policy

    # -- functions and queues --------------------------------------------------------------------

    def system(self, table: str) -> System:
        """The functions of that table, and the queues that they know of."""
        functions = tuple(self._functions(table))
        return System(functions, self._queues(functions))

    def concurrency(self) -> int:
        """How many functions of this account and region may run at once, all together."""
        reply = self.client("lambda").get_account_settings()
        return int(reply["AccountLimit"]["ConcurrentExecutions"])

    def queues(self, urls: Iterable[str]) -> dict[str, Queue]:
        """These queues and those of their dead letters, by ARN; those that do not exist are left
        out."""
        found: dict[str, Queue] = {}
        for url in dict.fromkeys(urls):
            if queue := self._queue(url):
                found[queue.arn] = queue
                self._add_by_arn(found, queue.dead_letters)
        return found

    def _functions(self, table: str) -> Iterable[Function]:
        pages = self.client("lambda").get_paginator("list_functions").paginate()
        for listed in (function for page in pages for function in page["Functions"]):
            environ = listed.get("Environment", {}).get("Variables", {})
            if environ.get("PUSH_DISPATCH_TABLE") == table:
                yield self._function(listed["FunctionName"], environ)

    def _function(self, name: str, environ: Mapping[str, str]) -> Function:
        # The list leaves out the states.
        shown = self.client("lambda").get_function_configuration(FunctionName=name)
        handler = str(shown.get("Handler", ""))
        return Function(
            name=name,
            arn=shown["FunctionArn"],
            role=shown["Role"],
            handler=handler.removeprefix(_HANDLER).removesuffix(".handler"),
            timeout_seconds=shown["Timeout"],
            environ=environ,
            state=_state(shown, "State", "Active"),
            update=_state(shown, "LastUpdateStatus", "Successful"),
            sources=tuple(self._sources(name)),
        )

    def _sources(self, function: str) -> Iterable[Source]:
        pages = self.client("lambda").get_paginator("list_event_source_mappings")
        for page in pages.paginate(FunctionName=function):
            for mapping in page["EventSourceMappings"]:
                filters = mapping.get("FilterCriteria", {}).get("Filters", [])
                destination = mapping.get("DestinationConfig", {}).get("OnFailure", {})
                yield Source(
                    arn=mapping["EventSourceArn"],
                    state=mapping["State"],
                    last_result=mapping.get("LastProcessingResult", ""),
                    filters=tuple(json.loads(each["Pattern"]) for each in filters),
                    partial="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []),
                    on_failure=destination.get("Destination", ""),
                )

    def _queues(self, functions: Sequence[Function]) -> dict[str, Queue]:
        found = self.queues(url for function in functions for url in _urls(function.environ))
        for function in functions:
            for source in function.sources:
                self._add_by_arn(found, source.on_failure if source.is_stream else source.arn)
        return found

    def _add_by_arn(self, found: dict[str, Queue], arn: str) -> None:
        if not arn or arn in found:
            return
        *_, owner, name = arn.split(":")
        try:
            reply = self.client("sqs").get_queue_url(QueueName=name, QueueOwnerAWSAccountId=owner)
        except ClientError as error:
            if _is_gone(error):
                return
            raise
        if queue := self._queue(reply["QueueUrl"]):
            found[arn] = queue
            self._add_by_arn(found, queue.dead_letters)

    def _queue(self, url: str) -> Queue | None:
        try:
            reply = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        except ClientError as error:
            if _is_gone(error):
                return None
            raise
        return Queue(reply["Attributes"]["QueueArn"], url, reply["Attributes"])

    # -- rules, permissions, invocations ---------------------------------------------------------

    def rules(self, target: str, bus: str = "default") -> list[Rule]:
        """The rules of a bus that send to `target`, an ARN."""
        events = self.client("events")
        names = events.list_rule_names_by_target(TargetArn=target, EventBusName=bus)["RuleNames"]
        shown = [events.describe_rule(Name=name, EventBusName=bus) for name in names]
        return [Rule(rule["Name"], bus, rule.get("State") == "ENABLED") for rule in shown]

    def denied(self, role: str, actions: Sequence[str], resources: Sequence[str]) -> list[str]:
        """What of the actions on the resources, ARNs, the role may not do, in words."""
        pages = (
            self.client("iam")
            .get_paginator("simulate_principal_policy")
            .paginate(PolicySourceArn=role, ActionNames=list(actions), ResourceArns=list(resources))
        )
        return [
            f"{result['EvalActionName']} on {result['EvalResourceName']}"
            for page in pages
            for result in page["EvaluationResults"]
            if result["EvalDecision"] != "allowed"
        ]

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """What the function returns. Raises FunctionFailed."""
        reply = self.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(event, separators=(",", ":")).encode()
        )
        answer = json.loads(reply["Payload"].read() or b"null")
        if reply.get("FunctionError"):
            answered = answer.get("errorMessage") if isinstance(answer, dict) else None
            raise FunctionFailed(f"{function} failed: {answered or answer}")
        return answer


def code_of(error: Exception) -> str:
    """The code in an answer of AWS; empty if it is none."""
    response = error.response if isinstance(error, ClientError) else {}
    return str(response.get("Error", {}).get("Code", ""))


def _is_gone(error: ClientError) -> bool:
    # By the old protocol, and by the JSON one.
    return code_of(error) in ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


def _state(shown: Mapping[str, Any], what: str, well: str) -> str:
    """A status, with its reason if it is not well."""
    status = str(shown.get(what) or well)
    return status if status == well else f"{status}: {shown.get(f'{what}Reason', 'no reason')}"


def _urls(environ: Mapping[str, str]) -> Iterable[str]:
    yield from (queues_of(environ) or {}).values()
    for name in ("PUSH_DISPATCH_WAKE_QUEUE", "PUSH_DISPATCH_REJECTED_QUEUE"):
        if url := environ.get(name):
            yield url
