# ruff: noqa: INP001 - a script, not a package
"""Writes the pages of the documentation that say what the code says: `python docs/generate.py`.

A test compares the pages with what this would write.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from push_dispatch.api.routes import openapi
from push_dispatch.core import lifecycle
from push_dispatch.core.lifecycle import TRANSITIONS
from push_dispatch.core.model import RunState
from push_dispatch.core.reasons import REASONS, Kind
from push_dispatch.platforms.registry import entries
from push_dispatch.ports.meter import METRICS

__all__ = ["PAGES"]

_HERE = Path(__file__).parent

_KINDS = {
    Kind.WAIT: (
        "Why a run waits",
        "In the order in which they are checked: the first that applies is shown.",
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
                last = f" {'yes' if reason.retryable else 'no'} |" if retried else ""
                yield f"| `{reason.token}` | {reason.sentence} | {_cell(reason.remedy)} |{last}"


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

Off unless you ask for it: the template's parameter `Api`, the module's variable `api`. With `url`
it is behind a function URL, with `http` behind an HTTP API of API Gateway. Both want requests
signed with credentials of the account that may call them, `lambda:InvokeFunctionUrl` (and
`lambda:InvokeFunction`) there, `execute-api:Invoke` here. The stack's output `ApiUrl` says where
it is. With curl:

    curl --aws-sigv4 "aws:amz:$AWS_REGION:lambda" \\
      --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
      --header "x-amz-security-token: $AWS_SESSION_TOKEN" \\
      "${API_URL}runs?pool=etl&state=RUNNING"

(`execute-api` instead of `lambda` for an HTTP API.)

Answers are what the command line prints with `--json`. An error is `{"reason",
"message"}`, with one of the [reasons](reasons.md): 400 for what must be corrected, 404 for what
is not there, 409 for what the present state does not allow, 503 for what may be tried again.
Submitting is safe to repeat with the header `Idempotency-Key`: the second answer is 200 instead
of 201, with the same run. The body is the document of a [Run Requested event](events.md).

`GET /openapi.json` is the same as an OpenAPI document. Generated from `api/`.

| request | what it does |
|---|---|
"""


def api() -> Iterator[str]:
    """`api.md`."""
    yield from _ABOUT_API.splitlines()
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            queries = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
            query = f"?{'&'.join(queries)}" if queries else ""
            yield f"| `{method.upper()} {path}{query}` | {operation['summary']} |"


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
- **knows prices**: `run inspect` and `simulate` estimate costs.
- **checks credentials**: `doctor` signs in.
- **passes secrets on**: they are handed to the platform's own mechanism; elsewhere their values are
  among the run's environment variables.

`push-dispatch platform ls --json` says the same, also of platforms of third parties. Generated from
`platforms/built_in.py`.
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


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


#: File in this directory to what it contains.
PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "reference/api.md": api,
    "reference/metrics.md": metrics,
    "reference/variables.md": variables,
    "reference/capabilities.md": capabilities,
    "reference/reasons.md": reasons,
    "reference/states.md": state_machine,
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (_HERE / name).write_text("\n".join(page()) + "\n", encoding="utf-8")
