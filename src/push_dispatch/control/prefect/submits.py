"""How do turns of flow runs come into our line? One that cannot ends at the server, with why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from push_dispatch.control.prefect import proposals
from push_dispatch.control.prefect.attachment import Attachment
from push_dispatch.control.prefect.resolve import needs_server, resolve, resolved_defaults
from push_dispatch.control.prefect.runs import request_of
from push_dispatch.core.errors import Invalid, NotFound, PushDispatchError, Refused
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit, submit_many
from push_dispatch.ports import Ports
from push_dispatch.ports.prefect import Deployment, FlowRun, Server

__all__ = ["New", "Submitted", "submit_turns"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class New:
    """A turn of a flow run that is to be submitted."""

    flow_run: FlowRun
    turn: int
    deployment: Deployment | None
    flow_name: str


@dataclass(slots=True)
class Submitted:
    """What has become of them."""

    submitted: list[FlowRun] = field(default_factory=list)
    refused: int = 0


def submit_turns(
    ports: Ports, server: Server, attachment: Attachment, new: Sequence[New]
) -> Submitted:
    """Submit these turns. One that cannot be is reported as CRASHED, and the others go on.
    Idempotent; no request to the server but for the variables that are referred to."""
    # Those whose time has passed are due now, all of them: as they come, they stand in line.
    new = sorted(new, key=lambda each: (each.flow_run.due or 0, each.flow_run.id))
    submits = _Submits(ports, server)
    requests = submits.requests(attachment, new)
    try:
        submit_many(ports, [request for _, request in requests])
        submits.done.submitted = [flow_run for flow_run, _ in requests]
    except (Invalid, NotFound, Refused):
        # One of them cannot be submitted: find out which, and let the others go on.
        for flow_run, request in requests:
            submits.one(flow_run, request)
    return submits.done


@dataclass
class _Submits:
    ports: Ports
    server: Server
    done: Submitted = field(default_factory=Submitted)

    def requests(self, attachment: Attachment, new: Sequence[New]) -> list[tuple[FlowRun, Request]]:
        variable = cache(self.server.variable)
        pool = self.ports.store.pool(attachment.pool)
        template = self.ports.store.template(attachment.pool, pool.template) if pool else None
        template = template or {}
        found: list[tuple[FlowRun, Request]] = []
        for each in new:
            flow_run, named = each.flow_run, (each.deployment, each.flow_name, each.turn)
            request = request_of(attachment, flow_run, *named, template=template)
            try:
                found.append((flow_run, _resolved(request, template, variable)))
            except Invalid as error:
                self._refuse(flow_run, error)
        return found

    def one(self, flow_run: FlowRun, request: Request) -> None:
        try:
            submit(self.ports, request)
            self.done.submitted.append(flow_run)
        except Refused as error:
            # As many wait as may: it stays scheduled at the server, and the next tick asks again.
            log.info("pool %s: flow run %s: %s", request.pool, flow_run.id, error.message)
        except (Invalid, NotFound) as error:
            self._refuse(flow_run, error)

    def _refuse(self, flow_run: FlowRun, error: PushDispatchError) -> None:
        message = f"push-dispatch: {error.message}"
        proposals.crashed(self.server, flow_run.id, message, self.ports.clock(), failed_start=True)
        self.done.refused += 1


def _resolved(
    request: Request, template: Mapping[str, Any], variable: Callable[[str], Any]
) -> Request:
    """The request with its references to the server's variables and blocks resolved."""
    both = (request.deployment_variables, request.variables)
    defaults = resolved_defaults(template, {**both[0], **both[1]}, variable, request.pool)
    if not defaults and not any(needs_server(given) for given in both):
        return request
    return replace(
        request,
        variables=resolve(request.variables, variable, request.pool),
        deployment_variables={
            **defaults,
            **resolve(request.deployment_variables, variable, request.pool),
        },
    )
