"""Which automation has a server tell us that there is something to do?

A hint and no more: the server neither signs nor repeats it, and runs that its scheduler makes cause
none. Whoever gets one reads the server, as each minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.ports.prefect import WorkPool

__all__ = ["HEADER", "automation", "block_data"]

#: The header with the door's secret.
HEADER = "X-Push-Dispatch-Hint"

_EXPECTED = (
    "prefect.flow-run.Scheduled",
    "prefect.flow-run.AwaitingRetry",
    "prefect.flow-run.Resuming",
    "prefect.flow-run.Cancelling",
    "prefect.flow-run.Cancelled",
)
_PAYLOAD = '{"flow_run": "{{ flow_run.id }}", "event": "{{ event.event }}"}'


def block_data(url: str, secret: str) -> dict[str, Any]:
    """The data of a webhook block. The server refuses private addresses unless it says so."""
    headers = {"Content-Type": "application/json", HEADER: secret}
    return {"method": "POST", "url": url, "headers": headers, "allow_private_urls": True}


def automation(name: str, pool: WorkPool, block: str) -> Mapping[str, Any]:
    """The automation that calls the block's webhook for each change of a run of the pool."""
    related = {
        "prefect.resource.role": "work-pool",
        "prefect.resource.id": f"prefect.work-pool.{pool.id}",
    }
    return {
        "name": name,
        "description": f"Tells push-dispatch of runs of work pool {pool.name!r}.",
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": [related],
            "expect": list(_EXPECTED),
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": 0,
        },
        "actions": [{"type": "call-webhook", "block_document_id": block, "payload": _PAYLOAD}],
    }
