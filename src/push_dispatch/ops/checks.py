"""Is what was found as it has to be? Pure: what AWS said goes in, findings come out."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from push_dispatch.adapters.dynamodb.schema import TABLE
from push_dispatch.core.reasons import describe
from push_dispatch.engine.sign_in import SignedIn
from push_dispatch.handlers.notify import NOTIFY_FILTERS
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.ops.findings import Finding, fine, problem, warning
from push_dispatch.ops.key_policy import lacking
from push_dispatch.ops.system import (
    HANDLERS,
    PLATFORM_QUEUES,
    Function,
    Queue,
    Rule,
    Source,
    System,
    queues_of,
)

__all__ = [
    "check_clock",
    "check_concurrency",
    "check_dead_letters",
    "check_expiry",
    "check_functions",
    "check_key",
    "check_permissions",
    "check_pool",
    "check_queues",
    "check_recovery",
    "check_rules",
    "check_schedules",
    "check_sign_in",
    "check_streams",
    "check_table",
]

#: Due times are this machine's, starts are Lambda's.
_SKEW_SECONDS, _WRONG_SECONDS = 5, 60
_DEPLOY = "Deploy the system again."
#: Fewer, and a burst of one queue takes the functions of all others away. New accounts have 10.
_CONCURRENCY = 50
#: States of functions that pass by themselves.
_CHANGING = ("Pending", "InProgress")
_FILTERS = {"dispatch": STREAM_FILTERS, "notify": NOTIFY_FILTERS}


def check_clock(here: int, there: int) -> Finding:
    """Two times in epoch milliseconds: this machine's and that of AWS, which tells seconds."""
    skew = max(0, abs(here - there) / 1000 - 1)
    message = f"this machine and AWS differ by {skew:.0f} s"
    remedy = "Synchronise the clock: what is submitted here with --at or --in is due by it."
    if skew > _WRONG_SECONDS:
        return problem("clock", "", message, remedy)
    if skew > _SKEW_SECONDS:
        return warning("clock", "", message, remedy)
    return fine("clock", "", message)


def check_concurrency(limit: int) -> Finding:
    """How many functions of the account and region may run at once."""
    message = f"{limit:,} functions of this account may run at once"
    if limit >= _CONCURRENCY:
        return fine("concurrency", "", message)
    return warning(
        "concurrency",
        "",
        f"{message}: a burst of runs is throttled, and late",
        "aws service-quotas request-service-quota-increase --service-code lambda"
        " --quota-code L-B99A9384 --desired-value 1000",
    )


def check_schedules(astray: Sequence[str]) -> Finding:
    """Which schedules do not fire at the queue of requests."""
    if not astray:
        return fine("schedules", "", "they fire at the queue of requests")
    named = ", ".join(astray[:3]) + (", …" if len(astray) > 3 else "")
    return warning(
        "schedules",
        "",
        f"{len(astray)} do not fire at the queue of requests, and lose what fires in an outage:"
        f" {named}",
        "push-dispatch doctor --repair",
    )


# -- the table --------------------------------------------------------------------------------


def check_table(table: Mapping[str, Any]) -> Iterator[Finding]:
    """What DescribeTable says."""
    name = table["TableName"]
    indexes = {i["IndexName"]: i for i in table.get("GlobalSecondaryIndexes", [])}
    wrong = [
        *([f"it is {table['TableStatus']}"] if table["TableStatus"] != "ACTIVE" else []),
        *(["its keys are others"] if table["KeySchema"] != TABLE["KeySchema"] else []),
        *(
            f"index {wanted['IndexName']} is not there or not active"
            for wanted in TABLE["GlobalSecondaryIndexes"]
            if not _is_index(indexes.get(wanted["IndexName"]), wanted)
        ),
    ]
    if wrong:
        yield problem("table", name, "; ".join(wrong), _DEPLOY)
    else:
        yield fine("table", name, f"about {table.get('ItemCount', 0):,} items")
    stream = table.get("StreamSpecification", {})
    if stream.get("StreamViewType") != TABLE["StreamSpecification"]["StreamViewType"]:
        message = "the table has no stream of new and old images: nothing is dispatched"
        yield problem("stream", name, message, _DEPLOY)
    if str(table.get("DeletionProtectionEnabled", False)).lower() != "true":
        yield warning(
            "protection",
            name,
            "the table can be deleted",
            "aws dynamodb update-table --deletion-protection-enabled",
        )


def check_recovery(table: str, *, enabled: bool) -> Finding:
    """Whether the table can be restored."""
    if enabled:
        return fine("recovery", table, "the table can be restored as of any second")
    return warning("recovery", table, "the table cannot be restored", _DEPLOY)


def check_expiry(table: str, attribute: str) -> Finding:
    """By which attribute items are deleted."""
    if attribute == "expires_at":
        return fine("expiry", table, "old runs and logs are deleted")
    return warning("expiry", table, "old runs and logs are never deleted", _DEPLOY)


def check_key(key: str, policy: Mapping[str, Any]) -> Finding:
    """Whether AWS's services may use the customer managed key of the table."""
    missing = lacking(policy, key)
    if not missing:
        return fine("key", key, "its policy lets rules and logs use it")
    statements = json.dumps(list(missing.values()))
    return problem(
        "key",
        key,
        f"its policy does not let {' and '.join(missing)} use it: what they send is dropped",
        f"Add to the key's policy: {statements}. All of it: push-dispatch doctor --key-policy",
    )


def _is_index(index: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    if index is None or index.get("IndexStatus", "ACTIVE") != "ACTIVE":
        return False
    return bool(index["KeySchema"] == wanted["KeySchema"])


# -- functions and what invokes them ----------------------------------------------------------


def check_functions(system: System) -> Iterator[Finding]:
    """Whether each is there, and can be invoked."""
    for handler in HANDLERS:
        if not system.having(handler):
            yield problem(
                "function",
                handler,
                f"no function with the handler push_dispatch.handlers.{handler}.handler names "
                "this table",
                _DEPLOY,
            )
    for function in system.functions:
        wrong = [
            state
            for state, well in ((function.state, "Active"), (function.update, "Successful"))
            if state != well
        ]
        if wrong and all(state.startswith(_CHANGING) for state in wrong):
            message = "it is being made or changed just now"
            yield warning("function", function.name, message, "Run doctor again in a minute.")
        elif wrong:
            yield problem("function", function.name, "; ".join(wrong), _DEPLOY)
        elif queues_of(function.environ) is None:
            message = f"its variable {PLATFORM_QUEUES} is not a JSON object: it cannot start"
            yield problem("function", function.name, message, _DEPLOY)
        else:
            yield fine("function", function.name, function.handler)


def check_streams(system: System, stream_arn: str) -> Iterator[Finding]:
    """Whether dispatch and notify hear of the table's changes: `stream_arn` is its stream now."""
    for handler, filters in _FILTERS.items():
        for function in system.having(handler):
            streams = [source for source in function.sources if source.is_stream]
            current = next((s for s in streams if s.arn == stream_arn), None)
            if current is None:
                old = " any more: it listens to one that the table had before" if streams else ""
                message = f"it does not receive the table's changes{old}"
                yield problem("stream", function.name, message, _DEPLOY)
            else:
                yield _stream(function, current, filters)


def _stream(function: Function, source: Source, filters: Sequence[Mapping[str, Any]]) -> Finding:
    if wrong := _source_is_wrong(source):
        return problem("stream", function.name, wrong, _remedy(source))
    if list(source.filters) != list(filters):
        message = "its filter is not the one of this version: it is invoked too often or too seldom"
        return warning("stream", function.name, message, _DEPLOY)
    if not source.on_failure:
        message = "what it fails to handle ten times is lost: there is no on-failure queue"
        return warning("stream", function.name, message, _DEPLOY)
    return fine("stream", function.name, _last_read(source))


def check_queues(system: System) -> Iterator[Finding]:
    """Whether each queue that a function is given is there, and feeds somebody."""
    for function in system.functions:
        wake = function.environ.get("PUSH_DISPATCH_WAKE_QUEUE", "")
        if function.handler == "dispatch" and system.queue_at(wake) is None:
            yield problem("queue", wake, "the queue that wakes dispatch does not exist", _DEPLOY)
        for source in function.sources:
            if not source.is_stream:
                yield _fed(system, function, source)
    for platform in system.platforms:
        if not system.pushing_to(platform):
            url = system.platform_queues[platform]
            yield problem("queue", url, f"no function takes what is sent to {platform}", _DEPLOY)


def _fed(system: System, function: Function, source: Source) -> Finding:
    queue = system.queues.get(source.arn)
    if queue is None:
        name = source.arn.rpartition(":")[2]
        return problem("queue", name, f"{function.name} reads it, and it does not exist", _DEPLOY)
    if wrong := _source_is_wrong(source):
        return problem("queue", queue.name, f"{function.name}: {wrong}", _remedy(source))
    if not queue.dead_letters:
        message = "what cannot be handled comes back until it expires: it has no dead-letter queue"
        return warning("queue", queue.name, message, _DEPLOY)
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    if queue.visibility_seconds < 6 * function.timeout_seconds:
        message = (
            f"messages come back after {queue.visibility_seconds} s, within six timeouts of "
            f"{function.name}: some are handled twice"
        )
        return warning("queue", queue.name, message, _DEPLOY)
    return fine("queue", queue.name, f"{queue.waiting} waiting for {function.name}")


def _source_is_wrong(source: Source) -> str:
    if source.state != "Enabled":
        return f"it is not invoked: the event source mapping is {source.state}"
    if source.last_result.startswith("PROBLEM"):
        return f"Lambda says {source.last_result}"
    if not source.partial:
        return "one failure has the whole batch delivered again: ReportBatchItemFailures is missing"
    return ""


def _remedy(source: Source) -> str:
    if source.state == "Disabled":
        return "aws lambda update-event-source-mapping --uuid UUID --enabled"
    return _DEPLOY


def _last_read(source: Source) -> str:
    return f"last look: {source.last_result}" if source.last_result else "enabled"


def check_rules(function: str, rules: Iterable[Rule], consequence: str) -> Finding:
    """Whether a rule that is enabled sends to a function, or to its queue."""
    found = list(rules)
    if any(rule.enabled for rule in found):
        return fine("rule", function, ", ".join(rule.name for rule in found if rule.enabled))
    if found:
        rule = found[0]
        bus = "" if rule.bus == "default" else f" --event-bus-name {rule.bus}"
        remedy = f"aws events enable-rule --name {rule.name}{bus}"
        return problem("rule", function, f"rule {rule.name} is disabled: {consequence}", remedy)
    return problem("rule", function, f"there is no rule: {consequence}", _DEPLOY)


# -- dead letters -----------------------------------------------------------------------------


def check_dead_letters(system: System) -> Iterator[Finding]:
    """Whether something waits for a person."""
    for arn, sources in system.dead_letter_queues.items():
        queue = system.queues.get(arn)
        if queue is None:
            name = arn.rpartition(":")[2]
            message = f"it does not exist: what {sources[0]} gives up is lost"
            yield problem("dead_letters", name, message, _DEPLOY)
        elif queue.waiting:
            yield problem(
                "dead_letters",
                queue.name,
                f"{_messages(queue)} dead-lettered, of {', '.join(sources)}",
                "Correct the cause, then: push-dispatch dead-letters redrive",
            )
        else:
            yield fine("dead_letters", queue.name, "empty")
    if system.rejected and system.rejected[0].waiting:
        refused = system.rejected[0]
        yield warning(
            "rejected",
            refused.name,
            f"{_messages(refused)} refused: requests for runs that cannot be",
            f"push-dispatch dead-letters inspect {refused.name}",
        )


def _messages(queue: Queue) -> str:
    return "1 message was" if queue.waiting == 1 else f"{queue.waiting} messages were"


# -- pools and platforms ----------------------------------------------------------------------


def check_pool(name: str, platforms: Sequence[str], deployed: Container[str]) -> Iterator[Finding]:
    """Whether the platforms that a pool needs are deployed."""
    if missing := [platform for platform in platforms if platform not in deployed]:
        message = (
            f"no function is deployed for {', '.join(missing)}: its runs end as "
            "platform_not_configured"
        )
        remedy = "Enable the platform in the deployment's parameters."
        yield problem("pool", name, message, remedy)


def check_sign_in(signed_in: SignedIn) -> Finding:
    """What a platform says of our credentials."""
    if signed_in.ok is None:
        remedy = "Cannot be checked without a run: submit one to test."
        return warning("credentials", signed_in.platform, signed_in.message, remedy)
    if signed_in.ok:
        return fine("credentials", signed_in.platform, signed_in.message)
    message = f"{signed_in.message} [{signed_in.reason}]"
    return problem(
        "credentials", signed_in.platform, message, describe(signed_in.reason or "").remedy
    )


def check_permissions(function: str, wanted: Sequence[str], denied: Sequence[str]) -> Finding:
    """What its role may do with what the system has."""
    if denied:
        return problem("permissions", function, f"its role may not {', '.join(denied)}", _DEPLOY)
    return fine("permissions", function, ", ".join(wanted))
