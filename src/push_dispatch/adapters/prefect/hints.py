"""Which automation has a server tell us that there is something to do?

A hint and no more: the server neither signs nor repeats it, and runs that its scheduler makes cause
none. It brings what a new run is submitted from; for all else, whoever gets one reads the server,
as each minute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from push_dispatch.adapters.prefect import documents
from push_dispatch.ports.prefect import Hint, WorkPool

__all__ = ["HEADER", "automation", "block_data", "read"]

#: The header with the door's secret.
HEADER = "X-Push-Dispatch-Hint"

_EXPECTED = (
    "prefect.flow-run.Scheduled",
    "prefect.flow-run.AwaitingRetry",
    "prefect.flow-run.Resuming",
    "prefect.flow-run.Cancelling",
    "prefect.flow-run.Cancelled",
)


def _document(name: str, *fields: str) -> str:
    """A template for these fields of what the event is about; `null` for what is gone."""
    shown = ", ".join(f"'{field}': True" for field in fields)
    return f"{{{{ {name}.model_dump_json(include={{ {shown} }}) if {name} else 'null' }}}}"


#: All that a run is submitted from, so that it needs no further request; not its parameters,
#: which the bridge does not want to know.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "flow_run": (
        "id",
        "name",
        "flow_id",
        "deployment_id",
        "work_pool_id",
        "work_queue_id",
        "next_scheduled_start_time",
        "job_variables",
        "tags",
        "state",
        "empirical_policy",
    ),
    "deployment": ("id", "name", "job_variables", "paused", "updated"),
    "flow": ("name",),
    "work_pool": ("id", "updated"),
    "work_queue": ("id", "priority", "concurrency_limit", "is_paused"),
}
_DOCUMENTS = [f'"{name}": {_document(name, *fields)}' for name, fields in _FIELDS.items()]
_PAYLOAD = f"{{{', '.join(_DOCUMENTS)}}}"


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


def read(body: str) -> Hint | None:
    """The hint at a flow run of a pool and a queue; None for any other, such as one from an
    automation of an earlier version."""
    try:
        found = json.loads(body)
        deployment = found["deployment"]
        queue = documents.work_queue(found["work_queue"])
        hint = Hint(
            documents.flow_run(found["flow_run"]),
            found["flow"]["name"],
            documents.deployment(deployment) if deployment else None,
            found["work_pool"]["updated"],
            queue.mark,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    same = queue.id == hint.flow_run.queue_id
    return hint if same and found["work_pool"]["id"] == hint.flow_run.pool_id else None
