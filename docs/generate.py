# ruff: noqa: INP001 - a script, not a package
"""Writes the pages of the documentation that say what the code says: `python docs/generate.py`.

A test compares the pages with what this would write.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

from push_dispatch.api.v1 import TABLE, actions, declarations, queries
from push_dispatch.api.v1.document import document
from push_dispatch.api.v1.table import Nothing, Route
from push_dispatch.core import lifecycle
from push_dispatch.core.lifecycle import TRANSITIONS
from push_dispatch.core.model import RunState
from push_dispatch.core.reasons import REASONS, About, Kind, Reason
from push_dispatch.ops.permissions import NEEDED
from push_dispatch.platforms.registry import entries
from push_dispatch.ports.meter import METRICS

__all__ = ["PAGES"]

_HERE = Path(__file__).parent

_KINDS = {
    Kind.WAIT: (
        "Why a run waits",
        "The limits are in the order in which they are checked: the first that applies is shown.",
    ),
    Kind.STATE: ("What a run does", "It holds a slot."),
    Kind.END: (
        "Why an attempt or a run ended",
        "*Retried*: whether another attempt may follow, if the run has any left.",
    ),
    Kind.REFUSAL: (
        "Why a request was refused",
        "Nothing was changed. The exit code is 2 if the command itself is wrong, else 1.",
    ),
}


_ABOUT_METRICS = """\
# Metrics

In the namespace `PushDispatch`, by way of the functions' logs (embedded metric format). Each has
the dimension `service`, the name of the stack, and is there once: with the dimensions below too, or
with `service` alone for the whole system, which is what alarms use. A run is not a dimension: it
is in the logs, as `run`, `pool` and `attempt`; so is the pool of a metric of the whole system.

CloudWatch charges for each combination that it receives in an hour, 0.30 dollars a month (list
price of November 2026). Nothing is emitted while nothing happens. `DispatchLatency`, `Ended` and
`Failures` come from the table's stream and miss nothing, but what is delivered twice is counted
twice.

Generated from `metrics.py`.

"""
_BESIDE_METRICS = """
Useful beside them, from AWS: `IteratorAge`, `Throttles`, `Errors` and `Duration` of the functions
(`AWS/Lambda`), `ApproximateAgeOfOldestMessage` of the queues (`AWS/SQS`).

`push-dispatch run explain` says why one run waits, and `pool explain` how a pool stands, at once
and without CloudWatch.
"""


def reasons() -> Iterator[str]:
    """`reasons.md`."""
    yield "# Reasons"
    yield ""
    yield "Every wait, end and refusal carries one of these tokens: in the command line, in"
    yield "`--json`, in the logs, the metrics and the events. They are stable: a token is never"
    yield "given another meaning. Generated from `reasons.py`."
    for kind, (title, about) in _KINDS.items():
        yield ""
        yield f"## {title}"
        yield ""
        yield about
        yield ""
        retried = kind is Kind.END
        yield f"| token | what it means | what to do |{' retried |' if retried else ''}"
        yield f"|---|---|---|{'---|' if retried else ''}"
        for reason in REASONS.values():
            if reason.kind is kind:
                last = f" {_retried(reason)} |" if retried else ""
                yield f"| `{reason.token}` | {reason.sentence} | {_cell(reason.remedy)} |{last}"


def _retried(reason: About) -> str:
    if reason.token in (Reason.COMPLETED, Reason.CANCELLED_BY_USER):
        return "never"
    return "yes" if reason.retryable else "no"


def permissions() -> Iterator[str]:
    """`reference/permissions.md`."""
    yield "# Permissions"
    yield ""
    yield "What the role of each function may do with the system's own table, queues, bus and"
    yield "secrets. A test keeps the table equal to what the functions ask AWS for. template.yaml"
    yield "and infra/terraform grant each action on the resources that it is about. Beside it are"
    yield "what Lambda does in a function's name (it reads queues and the stream, and writes logs),"
    yield "a key of one's own, and what each platform needs. Generated from `ops/permissions.py`."
    yield ""
    yield "| function | actions |"
    yield "|---|---|"
    for module, needed in NEEDED.items():
        yield f"| `{module}` | {', '.join(f'`{action}`' for action in sorted(set(needed)))} |"


def state_machine() -> Iterator[str]:
    """`reference/states.md`."""
    yield "# The states of a run"
    yield ""
    yield "Generated from the table in `lifecycle.py`, which is the whole state machine. An event"
    yield "that is not listed for a state changes nothing: it is late, repeated, or about another"
    yield "attempt."
    yield ""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> SCHEDULED: submit"
    for state, events in TRANSITIONS.items():
        for event, targets in events.items():
            for target in RunState:
                if target in targets and target is not state:
                    yield f"    {state} --> {target}: {event.__name__}"
    for state in RunState:
        if state.ended:
            yield f"    {state} --> [*]"
    yield "```"
    yield ""
    yield "| in state | event | goes to |"
    yield "|---|---|---|"
    for state, events in TRANSITIONS.items():
        for event, targets in events.items():
            names = ", ".join(str(target) for target in RunState if target in targets)
            yield f"| {state} | {event.__name__} | {names} |"
    yield ""
    yield "## Events"
    yield ""
    events = dict.fromkeys(event for row in TRANSITIONS.values() for event in row)
    for event in events:
        about = inspect.getdoc(getattr(lifecycle, event.__name__)) or ""
        yield f"- **{event.__name__}**: {' '.join(about.split())}"


def metrics() -> Iterator[str]:
    """`metrics.md`."""
    yield from _ABOUT_METRICS.splitlines()
    yield "| metric | unit | by | what it is |"
    yield "|---|---|---|---|"
    for metric in METRICS.values():
        named = ", ".join(f"`{name}`" for name in metric.dimensions)
        by = "the system" if metric.of_system else named
        yield f"| `{metric.name}` | {metric.unit} | {by} | {metric.sentence} |"
    yield from _BESIDE_METRICS.splitlines()


_ABOUT_API = """\
# The HTTP API

Everything that the command line does with pools, deployments and runs. In AWS it is off unless you
ask for it: the template's parameter `Api`, the module's variable `api`. With `url` it is behind a
function URL, with `http` behind an HTTP API of API Gateway. Both want requests signed with
credentials of the account that may call them, `lambda:InvokeFunctionUrl` (and
`lambda:InvokeFunction`) there, `execute-api:Invoke` here. The stack's output `ApiUrl` says where
it is. With curl:

    curl --aws-sigv4 "aws:amz:$AWS_REGION:lambda" \\
      --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
      --header "x-amz-security-token: $AWS_SESSION_TOKEN" \\
      "${API_URL}v1/pools/etl/runs?state=RUNNING"

(`execute-api` instead of `lambda` for an HTTP API.) A local runtime serves it on 127.0.0.1, at the
address and with the token that `push-dispatch local ls --json` prints, to no other web site:

    curl --header "Authorization: Bearer $TOKEN" "$API/v1/pools"

From Python, use [the client](../guides/client.md), which signs and pages by itself. In other
languages, generate a client from `GET /v1/openapi.json`, an OpenAPI 3.1 document; it, this page and
the API itself come from the same table of routes.

## How it behaves

- **Lists** are pages: `items`, and `next` for the parameter `after` of the next request, null at
  the end. A filtered page may have fewer items than its limit, or none, and yet a next one: no
  request reads more than 1,000 runs. Runs come newest first; those with an idempotency key come
  behind the others, because their ids are not in the order of time.
- **Configuration has a version**, its `ETag`. With `If-Match` a change is made only to that
  version: otherwise 412. For pools and queues this is exact, also against changes at the same
  moment; a deployment is compared before it is written. `If-None-Match: *` creates and never
  replaces. In a `PATCH`, what is absent stays as it is, and null clears a limit or a rate.
- **Submitting** is safe to repeat with the header `Idempotency-Key`, or `idempotency_key` in the
  body: the same request answers 200 instead of 201, with the same run; another request with that
  key is an error, 422. Retrying a run is idempotent by itself: a run has one successor.
- **Waiting**: `GET .../runs/{run}?wait=20` answers when the run has ended, after 20 seconds at the
  latest; with `revision` as soon as anything of it has changed.
- **Many runs at once** are chosen by a filter, one page in each request; `dry_run` says which.
- **An error is a problem** (RFC 9457, `application/problem+json`) with one of the
  [reasons](reasons.md), what to do about it as `remedy`, and `detail`: 400 for a request that does
  not fit the document, 422 for one that does and cannot be carried out, 404 for what is not there,
  409 for what the present state does not allow, 412 for another version, 503 for what may be tried
  again.
- Fields are those of `pools.yaml` and of the command line's `--json`; durations are seconds, times
  ISO 8601 in UTC.
- Logs that the API's function may not read are refused with `logs_unavailable`. Schedules are
  written by `push-dispatch apply`, unless the function has the variables
  `PUSH_DISPATCH_SCHEDULE_*`: otherwise `schedules_unknown`. What concerns the system itself, such
  as `doctor` and dead letters, is left to the command line.

## Requests
"""

_AFTER_REQUESTS = """
## Queries and bodies
"""


def api() -> Iterator[str]:
    """`api.md`."""
    yield from _ABOUT_API.splitlines()
    group = ""
    for route in sorted(TABLE.routes, key=_order):
        if group != (group := route.segments[1]):
            yield from (
                "",
                f"### {group}",
                "",
                "| request | what it does | takes |",
                "|---|---|---|",
            )
        kinds = [kind.__name__ for kind in (route.query, route.body) if kind is not Nothing]
        takes = ", ".join(f"[{kind}](#{kind.lower()})" for kind in kinds)
        yield f"| `{route.method} {route.path}` | {route.summary} | {takes} |"
    yield from _AFTER_REQUESTS.splitlines()
    schemas = document()["components"]["schemas"]
    inputs = {name for module in (actions, declarations, queries) for name in vars(module)}
    for kind in sorted(inputs & {n for n, s in schemas.items() if "properties" in s}):
        yield from _kind(kind, schemas[kind])


def _order(route: Route) -> int:
    """Pools first, then what belongs to no pool, then the API itself."""
    groups = ("pools", "deployments", "apply", "platforms", "templates", "reasons")
    group = route.segments[1]
    return groups.index(group) if group in groups else len(groups)


def _kind(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"### {name}", "", " ".join(schema["description"].split()), "")
    yield from ("| field | what it takes |", "|---|---|")
    for field, options in schema["properties"].items():
        required = ", required" if field in schema.get("required", ()) else ""
        yield f"| `{field}` | {_taken(options)}{required} |"


def _taken(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_taken(option) for option in schema["anyOf"])
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "any value"))
    if kind == "array":
        return f"list of {_taken(schema['items'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        kind += f" from {low:,} to {high:,}"
    elif "exclusiveMinimum" in schema:
        kind += f" above {schema['exclusiveMinimum']:g}, at most {high:g}"
    if "maxLength" in schema:
        kind += f" of at most {schema['maxLength']:,} characters"
    if schema.get("format") == "date-time":
        kind = "time with a time zone"
    about = schema.get("description", "").rstrip(".")
    return f"{kind}: {about}" if about else kind


_ABOUT_VARIABLES = """\
# What each job variable does

For each type of pool, the variables of its default template: what they do in Prefect's own worker,
and here. All of them are accepted, so that templates and deployments made for a worker can be used
as they are; what has no effect here says why. Beside them, on each platform, the environment has
`PUSH_DISPATCH_RUN_ID` and `PUSH_DISPATCH_POOL`, and none of Prefect's own variables.

Generated from `variables.json`, which a test compares with what the adapters send.
"""


def variables() -> Iterator[str]:
    """`reference/variables.md`."""
    yield from _ABOUT_VARIABLES.splitlines()
    for kind, rows in json.loads((_HERE / "reference/variables.json").read_text("utf-8")).items():
        yield f"\n## {kind}\n"
        yield "| variable | Prefect | push-dispatch |"
        yield "|---|---|---|"
        for name, (there, here) in rows.items():
            yield f"| `{name}` | {_cell(there)} | {_cell(here)} |"


_CAPABILITIES = {
    "finds_by_name": "finds a run by name",
    "reads_logs": "reads logs",
    "reports_events": "has events",
    "cleans_up": "cleans up",
    "logs_go_too": "logs go, too",
    "logs_late": "logs come late",
    "estimates_cost": "knows prices",
    "signs_in": "checks credentials",
    "passes_secrets": "passes secrets on",
}
_ABOUT_CAPABILITIES = """\
# What the platforms can do

All of them start, watch and stop runs, and start each attempt at most once. Beyond that:
"""
_BESIDE_CAPABILITIES = """
- **finds a run by name**: after a lost reply the attempt is found by its name. Without it the
  platform itself takes the same name only once.
- **reads logs**: `run logs`.
- **has events**: an end is known within a second or two, without the
  [reporter](../guides/reporter.md).
- **cleans up**: what counts against a quota is deleted after the end.
- **logs go, too**: cleaning up deletes them, so the last 32 KB are stored with the run before.
- **logs come late**: lines can be read some seconds after they were written; `run logs --follow`
  waits for the last.
- **knows prices**: `run inspect` and `simulate` estimate costs.
- **checks credentials**: `doctor` signs in.
- **passes secrets on**: they are handed to the platform's own mechanism, as below; elsewhere their
  values are among the run's environment variables.

`push-dispatch platform ls --json` says the same, also of platforms of third parties. Generated from
`platforms/built_in.json`.

## Where the value of a secret is

For an environment variable with `{{ secrets.NAME }}` in it: can the value be read by whoever may
look at the job on the platform? *reference*: the request has the secret's name only. *protected*:
the request has the value, in a field that is not shown. *value*: it is shown with the rest of the
environment. In a command it is shown everywhere: hand secrets over in variables.

| type | all of a variable | part of a variable | how, or why not |
|---|---|---|---|
"""


def capabilities() -> Iterator[str]:
    """`reference/capabilities.md`."""
    yield from _ABOUT_CAPABILITIES.splitlines()
    yield ""
    yield f"| platform | {' | '.join(_CAPABILITIES.values())} |"
    yield f"|---|{'---|' * len(_CAPABILITIES)}"
    for entry in entries():
        can = entry.capabilities
        if can is not None:
            cells = ["yes" if getattr(can, name) else "" for name in _CAPABILITIES]
            yield f"| {entry.platform} | {' | '.join(cells)} |"
    yield from _BESIDE_CAPABILITIES.splitlines()
    for kind, cells in json.loads((_HERE / "reference/secrets.json").read_text("utf-8")).items():
        yield f"| {kind} | {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


#: File in this directory to what it contains.
PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "reference/api.md": api,
    "reference/metrics.md": metrics,
    "reference/variables.md": variables,
    "reference/capabilities.md": capabilities,
    "reference/permissions.md": permissions,
    "reference/reasons.md": reasons,
    "reference/states.md": state_machine,
    **run_path(str(_HERE / "generate_input.py"))["PAGES"],
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (_HERE / name).write_text("\n".join(page()) + "\n", encoding="utf-8")
