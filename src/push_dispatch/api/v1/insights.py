"""What people ask of a whole pool, and what might be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import msgspec

from push_dispatch.api.v1 import actions, answers, declarations, pool_answers, queries
from push_dispatch.api.v1.configuration import whole
from push_dispatch.api.v1.table import TABLE, Answer, Call, Nothing
from push_dispatch.control.apply import carry_out, plan
from push_dispatch.control.declaration import read
from push_dispatch.core.errors import Invalid
from push_dispatch.core.simulate import Arrival
from push_dispatch.insight.explain import explain_pool
from push_dispatch.insight.forecast import what_if
from push_dispatch.insight.load import from_document_of_runs
from push_dispatch.insight.overview import Extent, overview
from push_dispatch.insight.views import pool_explanation_view
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports

__all__: list[str] = []


@TABLE.route("GET", "/v1/pools/{pool}/overview", {200: pool_answers.Overview})
def show_overview(call: Call[queries.OverviewQuery, Nothing]) -> Answer:
    """Show a pool at a glance in at most 48 KB: who holds slots, who waits and why, what has ended,
    occupancy and waits over time. Reads a few hundred runs, however many there are."""
    query = call.query
    extent = Extent(query.holders, query.waiting, query.recent, query.minutes)
    return Answer(overview(call.ports, call.path["pool"], extent))


@TABLE.route("GET", "/v1/pools/{pool}/explain", {200: pool_answers.PoolExplanation})
def explain_whole_pool(call: Call[Nothing, Nothing]) -> Answer:
    """Explain who holds the slots of a pool and who waits, and why."""
    return Answer(pool_explanation_view(explain_pool(call.ports, call.path["pool"])))


@TABLE.route("POST", "/v1/pools/{pool}/simulate", {200: pool_answers.WhatIf})
def simulate_pool(call: Call[Nothing, actions.Simulation]) -> Answer:
    """Play the next hours of a pool twice, as it is and with a change, by the same decision that
    dispatches. Without a load of its own: what waits, is due or is scheduled. Changes nothing."""
    pool, body = call.path["pool"], call.body
    load = None if body.load is None else _arrivals(call.ports, body.load)
    found = what_if(call.ports, pool, lambda p: whole(p, body.change), body.hours, load)
    return Answer(found)


@TABLE.route("GET", "/v1/pools/{pool}/preview", {200: pool_answers.WhatIf})
def preview_pool(call: Call[queries.Hours, Nothing]) -> Answer:
    """Play the next hours of a pool as it is."""
    return Answer(what_if(call.ports, call.path["pool"], lambda p: p, call.query.hours))


@TABLE.route("POST", "/v1/apply", {200: answers.Applied})
def apply_document(call: Call[Nothing, declarations.Apply]) -> Answer:
    """Make pools, queues, deployments and schedules what the content of a pools.yaml declares; with
    `dry_run`, only show the plan. Applying twice changes nothing."""
    body, ports = call.body, call.ports
    declared = read(_inline(body.document), default_template, relative_to=_NOWHERE)
    steps = plan(ports, declared, prune=body.prune, allow_empty=body.allow_empty)
    if not body.dry_run:
        for step in steps:
            carry_out(ports, step)
    views = [
        {"action": s.action.value, "kind": s.kind, "name": s.name, "changes": list(s.changes)}
        for s in steps
    ]
    return Answer({"applied": not body.dry_run, "steps": views})


#: Runs of a load: a request must not take a function's whole time.
_LARGEST_LOAD = 20_000
_NOWHERE: Any = PurePosixPath("/nowhere")


def _inline(document: dict[str, Any]) -> dict[str, Any]:
    """The document, if it names no file: those of the server are nobody's business. Raises
    Invalid."""
    for name, pool in _items(document.get("pools")):
        entries = [pool, *(pool.get("fallbacks") or ())] if isinstance(pool, dict) else []
        for entry in entries:
            if isinstance(entry, dict) and isinstance(entry.get("base_job_template"), str):
                raise Invalid(f"pools.{name}.base_job_template: give its content, not a file")
    return document


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _arrivals(ports: Ports, load: list[actions.Load]) -> list[Arrival]:
    """The load's runs, from now on."""
    now = ports.clock()
    if sum(each.count for each in load) > _LARGEST_LOAD:
        raise Invalid(f"the load has more than {_LARGEST_LOAD:,} runs")
    document = {"runs": [msgspec.structs.asdict(each) for each in load]}
    arrivals = from_document_of_runs(document)
    return [replace(arrival, at=now + arrival.at) for arrival in arrivals]
