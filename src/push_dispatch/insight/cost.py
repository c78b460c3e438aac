"""What has a run cost, by the platforms' price lists?

An estimate for people: the time from start to end of each attempt, at the list price of what it
asked for. What DynamoDB and Lambda take for dispatching it is in docs/reference/cost.md.
"""

from __future__ import annotations

from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.model import Attempt, Run
from push_dispatch.core.template import render
from push_dispatch.engine.job import layers_of
from push_dispatch.platforms.capabilities import price_list
from push_dispatch.ports import Ports

__all__ = ["cost_of"]


def cost_of(ports: Ports, run: Run) -> float | None:
    """US dollars for the attempts that have ended; None if that cannot be known for one of them:
    the platform has no price list, or its client library is not installed here."""
    costs = [_attempt(ports, run, a) for a in run.attempts if a.started_at and a.ended_at]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None


def _attempt(ports: Ports, run: Run, attempt: Attempt) -> float | None:
    try:
        platform = price_list(ports.platform(attempt.platform))
        template = ports.store.template(run.pool, attempt.template)
        if template is None or platform is None:
            return None
        configuration = render(template, layers_of(run), env_allowlist=ports.template_env)
        seconds = ((attempt.ended_at or 0) - (attempt.started_at or 0)) / 1000
        return platform.estimate_cost(configuration.configuration, max(seconds, 0))
    except (PushDispatchError, ValueError, TypeError, KeyError):
        return None
