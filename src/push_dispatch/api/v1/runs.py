"""Runs: submitted, listed, followed, stopped, retried, explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from push_dispatch.api.v1 import actions, answers, queries, run_answers
from push_dispatch.api.v1.table import TABLE, Answer, Call, Nothing
from push_dispatch.control.documents import requested
from push_dispatch.core.errors import Invalid, NotFound, PushDispatchError, Refused
from push_dispatch.core.model import Run
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.core.validation import check
from push_dispatch.engine.reorder import boost, move_to
from push_dispatch.engine.retry import retry
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import Submitted, submit, submit_many
from push_dispatch.insight.explain import explain
from push_dispatch.insight.history import history_of
from push_dispatch.insight.listing import run_named, run_views
from push_dispatch.insight.logs import attempt_of, part_of
from push_dispatch.insight.render import rendered, rendered_run
from push_dispatch.insight.selection import Filter, page_of
from push_dispatch.insight.views import explanation_view
from push_dispatch.ports import Ports

__all__ = ["run_view"]

_KEY = ("Idempotency-Key",)
#: Between two reads of a run that is waited for, in seconds.
_SOONEST, _LATEST = 0.2, 1.0


# -- many -------------------------------------------------------------------------------------


@TABLE.route("GET", "/v1/pools/{pool}/runs", {200: answers.Page[run_answers.Run]})
def list_runs(call: Call[queries.RunsQuery, Nothing]) -> Answer:
    """List the runs of a pool that fit a filter, newest first. Those with an idempotency key come
    behind the others: their ids are not in the order of time."""
    query = call.query
    page = page_of(call.ports, call.path["pool"], _filter(query), query.limit, query.after)
    return Answer({"items": _views(call.ports, page.runs), "next": page.next})


@TABLE.route(
    "POST",
    "/v1/pools/{pool}/runs",
    {201: run_answers.Submitted, 200: run_answers.Submitted},
    headers=_KEY,
)
def submit_run(call: Call[Nothing, actions.Submission]) -> Answer:
    """Submit a run. With an idempotency key, in the header or the body, the same request made
    again answers 200 and the run that is there; another request with that key is an error."""
    key = call.headers.get("idempotency-key", "")
    done = submit(call.ports, _request(call, call.body, key), check=check)
    if done.differs:
        problem = f"run {done.run.id} has the same idempotency key and other content"
        raise Refused(f"{problem}: {', '.join(done.differs)}", reason=Reason.IDEMPOTENCY_KEY_REUSED)
    [view] = _submitted(call.ports, [done])
    status = 201 if done.created else 200
    return Answer(view, status, location=_path(done.run))


@TABLE.route(
    "POST", "/v1/pools/{pool}/runs/batch", {200: answers.Items[run_answers.Submitted]}, headers=_KEY
)
def submit_runs(call: Call[Nothing, actions.Submissions]) -> Answer:
    """Submit many runs. All are validated before the first is stored. The header's idempotency key
    gets a number for each; `differs` names what a run that was there has otherwise."""
    key = call.headers.get("idempotency-key", "")
    requests = [
        _request(call, each, f"{key}-{number}" if key else "")
        for number, each in enumerate(call.body.runs, 1)
    ]
    done = submit_many(call.ports, requests, check=check)
    return Answer({"items": _submitted(call.ports, done)})


@TABLE.route("POST", "/v1/pools/{pool}/runs/cancel", {200: run_answers.Bulk})
def cancel_runs(call: Call[Nothing, actions.RunSelection]) -> Answer:
    """Cancel the runs that fit a filter and have not ended, one page at a time; with `dry_run`,
    only list them."""
    return _bulk(call, lambda run: not run.state.ended, lambda run: cancel(call.ports, run.id))


@TABLE.route("POST", "/v1/pools/{pool}/runs/retry", {200: run_answers.Bulk})
def retry_runs(call: Call[Nothing, actions.RunSelection]) -> Answer:
    """Retry the runs that fit a filter and have ended, one page at a time; with `dry_run`, only
    list them. The items are the new runs."""
    return _bulk(
        call, lambda run: run.state.ended, lambda run: retry(call.ports, run.id, check=check).run
    )


@TABLE.route("POST", "/v1/pools/{pool}/render", {200: run_answers.Rendered})
def render_run(call: Call[Nothing, actions.Submission]) -> Answer:
    """Show what would be sent to the platform, and where each value comes from. Submits nothing."""
    return Answer(rendered(call.ports, _request(call, call.body, "")))


# -- one --------------------------------------------------------------------------------------


@TABLE.route("GET", "/v1/pools/{pool}/runs/{run}", {200: run_answers.Run}, etag=True)
def show_run(call: Call[queries.Wait, Nothing]) -> Answer:
    """Show a run with its attempts. With `wait`, answer when it has ended or, with `revision`, when
    it has another revision; and after so many seconds in any case."""
    run = _waited(call)
    return Answer(run_view(call.ports, run), etag=str(run.rev))


@TABLE.route("POST", "/v1/pools/{pool}/runs/{run}/cancel", {200: run_answers.Run})
def cancel_run(call: Call[Nothing, Nothing]) -> Answer:
    """Stop a run in any state. One that runs keeps its slot until it has stopped."""
    return Answer(run_view(call.ports, cancel(call.ports, _id(call))))


@TABLE.route(
    "POST",
    "/v1/pools/{pool}/runs/{run}/retry",
    {201: run_answers.Submitted, 200: run_answers.Submitted},
)
def retry_run(call: Call[Nothing, Nothing]) -> Answer:
    """Submit a run that has ended once more. Made again, it answers the same new run with 200."""
    done = retry(call.ports, _id(call), check=check)
    [view] = _submitted(call.ports, [done])
    return Answer(view, 201 if done.created else 200, location=_path(done.run))


@TABLE.route("POST", "/v1/pools/{pool}/runs/{run}/boost", {200: run_answers.Run})
def boost_run(call: Call[Nothing, actions.Boost]) -> Answer:
    """Serve a waiting run before others of its queue. Limits hold all the same."""
    return Answer(run_view(call.ports, boost(call.ports, _id(call), call.body.by)))


@TABLE.route("POST", "/v1/pools/{pool}/runs/{run}/move", {200: run_answers.Run})
def move_run(call: Call[Nothing, actions.Move]) -> Answer:
    """Let a waiting run wait in another queue of its pool. Idempotent."""
    return Answer(run_view(call.ports, move_to(call.ports, _id(call), call.body.queue)))


@TABLE.route("GET", "/v1/pools/{pool}/runs/{run}/explain", {200: run_answers.Explanation})
def explain_run(call: Call[Nothing, Nothing]) -> Answer:
    """Explain why a run is where it is, who holds the slots, when it will start, what to do."""
    return Answer(explanation_view(explain(call.ports, _id(call))))


@TABLE.route("GET", "/v1/pools/{pool}/runs/{run}/render", {200: run_answers.Rendered})
def show_rendered_run(call: Call[Nothing, Nothing]) -> Answer:
    """Show what was sent to the platform for the last attempt of a run, or will be for its first,
    and where each value comes from. Secrets stand as references."""
    return Answer(rendered_run(call.ports, run_named(call.ports, _id(call))))


@TABLE.route("GET", "/v1/pools/{pool}/runs/{run}/events", {200: answers.Items[run_answers.Event]})
def list_events(call: Call[Nothing, Nothing]) -> Answer:
    """List what has happened to a run, oldest first."""
    return Answer({"items": history_of(run_named(call.ports, _id(call)))})


@TABLE.route("GET", "/v1/pools/{pool}/runs/{run}/logs", {200: run_answers.Log})
def show_log(call: Call[queries.Logs, Nothing]) -> Answer:
    """Show a part of what a run has written: of its last attempt, or the one that is named."""
    run = run_named(call.ports, _id(call))
    attempt = attempt_of(run, call.query.attempt)
    if attempt is None:
        nothing: dict[str, Any] = {
            "attempt": None,
            "lines": [],
            "after": 0,
            "complete": run.state.ended,
        }
        return Answer(nothing)
    part = part_of(call.ports, run, attempt, call.query.after, call.query.limit)
    over = part.to_end and run.has_ended(attempt.number)
    value = {"attempt": attempt.number, "lines": part.lines, "after": part.after, "complete": over}
    return Answer(value)


# -- shared -----------------------------------------------------------------------------------


def run_view(ports: Ports, run: Run) -> dict[str, Any]:
    """A run as the API shows it."""
    [view] = _views(ports, [run])
    return view


def _views(ports: Ports, runs: Sequence[Run]) -> list[dict[str, Any]]:
    views = run_views(ports, runs)
    return [view | {"revision": run.rev} for view, run in zip(views, runs, strict=True)]


def _submitted(ports: Ports, done: Sequence[Submitted]) -> list[dict[str, Any]]:
    views = _views(ports, [each.run for each in done])
    return [
        {"run": view, "created": each.created, "differs": list(each.differs)}
        for view, each in zip(views, done, strict=True)
    ]


def _id(call: Call[Any, Any]) -> str:
    """The run's id: in the path is all of it, or what is behind the pool. Raises NotFound."""
    pool, run = call.path["pool"], call.path["run"]
    named, _, uuid = run.rpartition(".")
    if named not in ("", pool):
        raise NotFound(f"run {run} is not of pool {pool!r}", reason=Reason.RUN_NOT_FOUND)
    return f"{pool}.{uuid}"


def _path(run: Run) -> str:
    return f"/v1/pools/{run.pool}/runs/{run.id}"


def _request(call: Call[Any, Any], body: actions.Submission, key: str) -> Request:
    """The request in a body. Raises Invalid, NotFound."""
    pool = call.path["pool"]
    document: dict[str, Any] = msgspec.to_builtins(body)
    if "deployment" not in document:
        document["pool"] = pool
    request = requested(call.ports, document, idempotency_key=key)
    if request.pool != pool:
        problem = f"deployment {request.deployment!r} makes runs of pool {request.pool!r}"
        raise Invalid(f"{problem}: POST /v1/pools/{request.pool}/runs")
    return request


def _filter(query: queries.RunFilter, ids: Sequence[str] = ()) -> Filter:
    return Filter(
        states=frozenset(query.state),
        queue=query.queue,
        deployment=query.deployment,
        tag=query.tag,
        name=query.name,
        concurrency_key=query.concurrency_key,
        submitted_from=_milliseconds(query.submitted_from),
        submitted_before=_milliseconds(query.submitted_before),
        ids=frozenset(ids),
    )


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _bulk(
    call: Call[Any, actions.RunSelection], fits: Callable[[Run], bool], act: Callable[[Run], Run]
) -> Answer:
    """Act on one page of the runs that fit; what fails for one run fails for no other."""
    body, ports = call.body, call.ports
    wanted = _filter(body, body.ids)
    page = page_of(ports, call.path["pool"], wanted, body.limit, body.after)
    done: list[Run] = []
    failures = []
    for run in filter(fits, page.runs):
        try:
            done.append(run if body.dry_run else act(run))
        except PushDispatchError as error:
            failures.append({"id": run.id, "reason": error.reason, "detail": error.message})
    items = _views(ports, done)
    return Answer(
        {"dry_run": body.dry_run, "items": items, "failures": failures, "next": page.next}
    )


def _waited(call: Call[queries.Wait, Any]) -> Run:
    query, ports, run_id = call.query, call.ports, _id(call)
    deadline, pause = ports.clock() + int(query.wait * 1000), _SOONEST
    while True:
        run = run_named(ports, run_id)
        news = run.state.ended or (query.revision is not None and run.rev != query.revision)
        left = (deadline - ports.clock()) / 1000
        if news or left <= 0:
            return run
        call.sleep(min(pause, left))
        pause = min(pause * 1.5, _LATEST)
