"""Which named limits does a run fall under, and what does it take of its pool's capacity?

Claims: a run's keys and weights. They are computed where it is submitted, and once more where a
pass meets it after its pool has changed what they depend on, so that nothing is decided under a
declaration that a finished change has replaced. Runs of pools without limits and capacity have
none, and cost nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from push_dispatch.core.canonical import digest_of
from push_dispatch.core.errors import Invalid
from push_dispatch.core.events import Claims, Reject
from push_dispatch.core.limits import keys_of
from push_dispatch.core.model import Pool, Ready, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.core.units import check_weights, weights_of
from push_dispatch.engine.transition import transition
from push_dispatch.ports import Ports

__all__ = ["claimed", "declaration_of", "renewed"]

log = logging.getLogger(__name__)


def declaration_of(pool: Pool) -> str:
    """A digest of all that the claims of its runs depend on; empty if they have none."""
    if not pool.limits and not pool.capacity:
        return ""
    return digest_of(
        {
            "limits": [[limit.name, limit.key] for limit in pool.limits],
            "units": sorted(pool.capacity),
            "weights": dict(pool.weights),
            "type": pool.type,
            "template": pool.template,
        }
    )


def claimed(ports: Ports, pools: Mapping[str, Pool], runs: Sequence[Run]) -> list[Run]:
    """The runs with their claims under the present declaration of their pools. Raises Invalid, also
    (`weight_too_large`) if one of them could never start."""
    known: dict[Any, Claims] = {}
    return [_claimed(ports, pools[run.pool], run, known) for run in runs]


def _claimed(ports: Ports, pool: Pool, run: Run, known: dict[Any, Claims]) -> Run:
    if not (under := declaration_of(pool)):
        return run
    # Copies of one request share what it was made of.
    parts = (run.variables, run.deployment_variables, run.parameters)
    whole = (run.pool, run.queue, run.deployment, run.concurrency_key, run.tags)
    same = (*whole, *map(id, parts))
    if same not in known:
        known[same] = _claims(ports, pool, run, under)
        check_weights(pool.capacity, known[same].weights, pool.name)
    claims = known[same]
    return replace(run, keys=claims.keys, weights=claims.weights, under=under)


def renewed(ports: Ports, pool: Pool, places: Sequence[Ready]) -> list[Ready]:
    """These places as the pool's present declaration wants them. Those of runs that were submitted
    under another one are written again under the same name. Raises Unavailable."""
    under = declaration_of(pool)
    old = [place for place in places if under and place.under != under]
    if not old:
        return list(places)
    runs = ports.store.runs(pool.name, (place.run for place in old))
    renewals = {place: _renewed(ports, pool, runs.get(place.run), place, under) for place in old}
    changed = [fresh for place, fresh in renewals.items() if fresh is not None and fresh != place]
    ports.store.enqueue(pool.name, changed, ports.clock())
    fresh = (renewals.get(place, place) for place in places)
    return [place for place in fresh if place is not None]


def _renewed(ports: Ports, pool: Pool, run: Run | None, place: Ready, under: str) -> Ready | None:
    if run is None or run.unreadable or Ready.of(run).place != place.place:
        return place  # Stale: the pass drops it.
    try:
        event: Claims | Reject = _claims(ports, pool, run, under)
    except Invalid as error:
        log.warning("%s can never start: %s", run.id, error.message)
        event = Reject(place.attempt, Reason.INVALID_INPUT, error.message, unless_claimed=True)
    after = transition(ports, pool.name, run.uuid, event, run=run)
    if not after.waits_for(place.attempt):
        return None
    return Ready.of(after)


def _claims(ports: Ports, pool: Pool, run: Run, under: str) -> Claims:
    # Loads the template language, which a pool without limits and capacity does not need.
    from push_dispatch.core.expressions import Facts  # noqa: PLC0415
    from push_dispatch.core.template import merge_variables  # noqa: PLC0415
    from push_dispatch.engine.job import layers_of  # noqa: PLC0415

    template = ports.store.template(pool.name, pool.template) or {}
    try:
        variables = merge_variables(template, layers_of(run))
    except (TypeError, ValueError):
        variables = {}  # It does not fit its template: the push says so.
    facts = Facts(
        run.deployment, run.queue, run.concurrency_key, run.tags, run.parameters, variables
    )
    derived = _derived(pool, run, template) if pool.capacity else {}
    weights = weights_of(pool.capacity, pool.weights, derived, facts)
    return Claims(keys_of(pool.limits, facts), weights, under)


def _derived(pool: Pool, run: Run, template: Mapping[str, Any]) -> dict[str, float]:
    from push_dispatch.core.template import render  # noqa: PLC0415
    from push_dispatch.engine.job import layers_of  # noqa: PLC0415
    from push_dispatch.engine.weights import weights_in  # noqa: PLC0415

    if set(pool.weights) >= set(pool.capacity):
        return {}
    try:
        return weights_in(pool.type, render(template, layers_of(run)).configuration)
    except (TypeError, ValueError, KeyError):
        return {}
