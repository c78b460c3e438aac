"""Which paths does the HTTP API have, and what do they answer?

Behind a function URL with `AWS_IAM`, or an HTTP API: both ask with the same events, and neither
lets anybody in without a signature. The answers are those of the command line with `--json`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from push_dispatch import __version__
from push_dispatch.adapters.telemetry import logger
from push_dispatch.control.documents import requested, schema
from push_dispatch.control.pools import change_pool, change_queue, pool_named, pools_of
from push_dispatch.core.bounds import parse_json
from push_dispatch.core.errors import (
    Conflict,
    Invalid,
    Misconfigured,
    NotFound,
    PushDispatchError,
    Refused,
)
from push_dispatch.core.model import RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.validation import check
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from push_dispatch.insight.explain import explain, explain_pool
from push_dispatch.insight.listing import newest_runs, run_named, run_views
from push_dispatch.insight.views import (
    explanation_view,
    pool_explanation_view,
    pool_view,
)
from push_dispatch.ports import Ports

__all__ = ["openapi", "respond"]

_CONTENT = "content-type"

Document = dict[str, Any]
Limit = Annotated[int, Query(ge=1, le=1000, description="The newest N.")]
States = Annotated[list[RunState] | None, Query(description="In one of these states.")]

app = LambdaFunctionUrlResolver(enable_validation=True)


def respond(ports: Ports, event: Document, context: Any) -> Document:
    """The answer to one request, in the payload format 2.0. What goes wrong has a body with
    `reason` and `message`."""
    app.context["ports"] = ports
    if wrong := _wrong_body(event):
        return _plain(400, Reason.INVALID_INPUT, wrong)
    try:
        return app.resolve(event, context)
    except Exception:  # noqa: BLE001 - any failure still gets the caller a response
        logger.exception("request failed")
        return _plain(500, Reason.INTERNAL_ERROR, "something went wrong: see the function's log")


def _wrong_body(event: Document) -> str:
    """Why the body cannot be read at all; empty if there is none, or nothing wrong with it."""
    # The framework would parse forms, too, and fail where they are not well-formed.
    headers = {k: v for k, v in (event.get("headers") or {}).items() if k.lower() != _CONTENT}
    event["headers"] = {**headers, _CONTENT: content_types.APPLICATION_JSON}
    body = event.get("body")
    if not body:
        return ""
    try:
        parse_json(base64.b64decode(body) if event.get("isBase64Encoded") else body)
    except ValueError as error:
        return f"the body is not the JSON document that is expected: {error}"
    return ""


def _plain(status: int, reason: str, message: str) -> Document:
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_types.APPLICATION_JSON},
        "body": json.dumps({"reason": reason, "message": message}),
        "isBase64Encoded": False,
    }


def openapi() -> Document:
    """The paths as an OpenAPI document."""
    text = app.get_openapi_json_schema(title="push-dispatch", version=__version__)
    document: Document = json.loads(text)
    body = document["paths"]["/runs"]["post"]["requestBody"]
    body["content"]["application/json"]["schema"] = schema()
    return document


# -- pools ------------------------------------------------------------------------------------


@app.get("/pools", summary="All pools with their queues and the slots they hold")
def list_pools() -> list[Document]:
    return [pool_view(pool, ledger) for pool, ledger in pools_of(_ports())]


@app.get("/pools/<pool>", summary="A pool")
def show_pool(pool: str) -> Document:
    return pool_view(pool_named(_ports(), pool), _ports().store.ledger(pool))


@app.get("/pools/<pool>/explain", summary="Who holds its slots and who waits, and why")
def show_pool_explanation(pool: str) -> Document:
    return pool_explanation_view(explain_pool(_ports(), pool))


@app.post("/pools/<pool>/pause", summary="Start nothing more; what has started goes on")
def pause_pool(pool: str) -> Document:
    return _set_paused(pool, paused=True)


@app.post("/pools/<pool>/resume", summary="Start what waits")
def resume_pool(pool: str) -> Document:
    return _set_paused(pool, paused=False)


@app.post("/pools/<pool>/queues/<queue>/pause", summary="Start nothing more of this queue")
def pause_queue(pool: str, queue: str) -> Document:
    return _set_queue_paused(pool, queue, paused=True)


@app.post("/pools/<pool>/queues/<queue>/resume", summary="Start what waits in this queue")
def resume_queue(pool: str, queue: str) -> Document:
    return _set_queue_paused(pool, queue, paused=False)


def _set_paused(name: str, *, paused: bool) -> Document:
    pool = change_pool(_ports(), name, lambda p: replace(p, paused=paused))
    return pool_view(pool, _ports().store.ledger(name))


def _set_queue_paused(pool: str, name: str, *, paused: bool) -> Document:
    after = change_queue(_ports(), pool, name, lambda q: replace(q, paused=paused))
    return pool_view(after, _ports().store.ledger(pool))


# -- runs -------------------------------------------------------------------------------------


@app.get("/runs", summary="The newest runs, and why they wait or how they ended")
def list_runs(pool: str | None = None, state: States = None, limit: Limit = 20) -> list[Document]:
    states = frozenset(state or ())
    return run_views(_ports(), newest_runs(_ports(), pool, limit, states=states))


@app.post(
    "/runs",
    summary="Submit a run",
    description="The body is a Run Requested document. The header Idempotency-Key, or"
    " idempotency_key in the body, makes it safe to ask again: the run that is there already is"
    " answered with 200 instead of 201, and `differs` names what it has otherwise.",
    responses={201: {"description": "The run"}, 200: {"description": "The run that was there"}},
)
def submit_run(document: Annotated[Document, Body()]) -> Response[Document]:
    ports = _ports()
    key = app.current_event.headers.get("idempotency-key") or ""
    done = submit(ports, requested(ports, document, idempotency_key=key), check=check)
    [view] = run_views(ports, [done.run])
    if done.differs:
        view["differs"] = list(done.differs)
    return Response(201 if done.created else 200, content_types.APPLICATION_JSON, view)


@app.get("/runs/<run>", summary="A run with its attempts")
def show_run(run: str) -> Document:
    [view] = run_views(_ports(), [run_named(_ports(), run)])
    return view


@app.get("/runs/<run>/explain", summary="Why it is where it is, and what to do")
def show_explanation(run: str) -> Document:
    return explanation_view(explain(_ports(), run))


@app.post("/runs/<run>/cancel", summary="Stop it in any state")
def cancel_run(run: str) -> Document:
    [view] = run_views(_ports(), [cancel(_ports(), run)])
    return view


# -- what all of them need --------------------------------------------------------------------


@app.get("/openapi.json", summary="This document", include_in_schema=False)
def show_openapi() -> Document:
    return openapi()


def _ports() -> Ports:
    ports: Ports = app.context["ports"]
    return ports


_STATUSES = (
    (Invalid, 400),
    (NotFound, 404),
    (Refused, 409),
    (Conflict, 409),
    (Misconfigured, 500),
)


@app.exception_handler(PushDispatchError)  # type: ignore[untyped-decorator]
def _problem(error: PushDispatchError) -> Response[Document]:
    status = next((code for kind, code in _STATUSES if isinstance(error, kind)), 503)
    return _error(status, error.reason, error.message)


@app.exception_handler(RequestValidationError)  # type: ignore[untyped-decorator]
def _invalid_parameters(error: RequestValidationError) -> Response[Document]:
    wrong = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
    return _error(400, Reason.INVALID_INPUT, f"the request is not valid: {wrong}")


@app.not_found
def _no_such_path(_: Exception) -> Response[Document]:
    event = app.current_event
    path = f"{event.request_context.http.method} {event.raw_path}"
    return _error(404, Reason.NOT_FOUND, f"there is no {path}; GET /openapi.json lists all paths")


def _error(status: int, reason: str, message: str) -> Response[Document]:
    body = {"reason": reason, "message": message}
    return Response(status, content_types.APPLICATION_JSON, body)
