"""A Prefect server in miniature, over HTTP: the endpoints that the bridge calls, and the rules for
states as they were established on real servers of 3.8.8 and 3.9.1.

The real ones are in tests/integration/test_prefect_bridge.py; this one has a clock that the test
moves, can be down, lose replies, forget, and refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.fakes.rest_server import Answer, Request, RestServer

__all__ = ["FakePrefect"]

_TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_NAMES = {
    "SCHEDULED": "Scheduled",
    "PENDING": "Pending",
    "RUNNING": "Running",
    "CANCELLING": "Cancelling",
    "CANCELLED": "Cancelled",
    "CRASHED": "Crashed",
    "COMPLETED": "Completed",
    "FAILED": "Failed",
    "PAUSED": "Paused",
}

Document = dict[str, Any]


class FakePrefect(RestServer):
    """Holds everything as the documents that it answers with."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__()
        self.clock = clock
        self.said_version = "3.9.1"
        self.auth = ""
        self.down = False
        self.pools: dict[str, Document] = {}
        self.queues: dict[str, Document] = {}
        self.runs: dict[str, Document] = {}
        self.deployments: dict[str, Document] = {}
        self.flows: dict[str, Document] = {}
        self.workers: dict[str, list[Document]] = {}
        self.logs: list[Document] = []
        self.variables: dict[str, Any] = {}
        self.blocks: dict[tuple[str, str], Any] = {}
        self.automations: dict[str, Document] = {}
        self.webhooks: dict[str, Document] = {}
        #: States that each run was in.
        self.history: dict[str, list[Document]] = {}
        #: Slots of deployments that have a limit.
        self.limits: dict[str, int] = {}
        self._ids = 0
        self._changes = 0

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    # -- what a test declares --------------------------------------------------------------

    def pool(self, name: str, **more: Any) -> Document:
        pool = {
            "id": self._id(),
            "name": name,
            "type": "process",
            "base_job_template": {},
            "concurrency_limit": None,
            "is_paused": False,
            "updated": _iso(self.clock()),
            **more,
        }
        self.pools[pool["id"]] = pool
        pool["default_queue_id"] = self.queue(pool, "default")["id"]
        return pool

    def change(self, pool: Document, **more: Any) -> None:
        """As a person does, in the interface."""
        self._changes += 1
        pool |= {**more, "updated": _iso(self.clock() + self._changes)}

    def hint(self, run: str) -> str:
        """What the automation of an attached pool sends when this run is scheduled."""
        found = self._row(self.runs[run])
        of = {
            "flow_run": found,
            "deployment": self.deployments.get(found["deployment_id"]),
            "flow": self.flows[found["flow_id"]],
            "work_pool": self.pools[found["work_pool_id"]],
            "work_queue": self.queues[found["work_queue_id"]],
        }
        return json.dumps(of)

    def queue(self, pool: Document, name: str, **more: Any) -> Document:
        others = [q for q in self.queues.values() if q["work_pool_id"] == pool["id"]]
        queue = {
            "id": self._id(),
            "name": name,
            "priority": len(others) + 1,
            "concurrency_limit": None,
            "is_paused": False,
            "work_pool_id": pool["id"],
            **more,
        }
        self.queues[queue["id"]] = queue
        return queue

    def deployment(self, name: str, pool: Document, **more: Any) -> Document:
        flow = {"id": self._id(), "name": f"flow-of-{name}"}
        self.flows[flow["id"]] = flow
        found = {
            "id": self._id(),
            "name": name,
            "flow_id": flow["id"],
            "pool": pool["name"],
            "work_queue_id": pool["default_queue_id"],
            "updated": "2026-01-02T03:04:05.678Z",
            "job_variables": {},
            **more,
        }
        self.deployments[found["id"]] = found
        return found

    def flow_run(self, deployment: Document, at: int | None = None, **more: Any) -> str:
        """The id of a run that is due at `at`, in epoch milliseconds; now without."""
        run = {
            "id": self._id(),
            "name": "a-name",
            "flow_id": deployment["flow_id"],
            "deployment_id": deployment["id"],
            "work_queue_id": deployment["work_queue_id"],
            "job_variables": {},
            "tags": [],
            "empirical_policy": {"retry_type": None},
            "infrastructure_pid": None,
            **more,
        }
        self.runs[run["id"]] = run
        due = _iso(self.clock() if at is None else at)
        self.write(run["id"], {"type": "SCHEDULED", "state_details": {"scheduled_time": due}})
        return str(run["id"])

    def write(self, run: str, state: Document) -> Document:
        """Put a run into a state, whatever it is in."""
        found = self.runs[run]
        details = dict(state.get("state_details") or {})
        written = {
            "id": self._id(),
            "type": state["type"],
            "name": state.get("name") or _NAMES[state["type"]],
            "message": state.get("message"),
            "timestamp": _iso(self.clock()),
            "state_details": details,
        }
        found["state"] = written
        due = details.get("scheduled_time") or _iso(self.clock())
        found["next_scheduled_start_time"] = due if state["type"] == "SCHEDULED" else None
        self.history.setdefault(run, []).append(written)
        return written

    def state(self, run: str) -> tuple[str, str]:
        """Type and name."""
        state = self.runs[run]["state"]
        return state["type"], state["name"]

    def message(self, run: str) -> str:
        return str(self.runs[run]["state"]["message"] or "")

    def cancel(self, run: str) -> None:
        """As the UI does."""
        found = self.runs[run]
        waits = found["state"]["type"] in ("SCHEDULED", "PAUSED")
        self.write(
            run,
            {"type": "CANCELLED" if waits and not found["infrastructure_pid"] else "CANCELLING"},
        )

    def propose(self, run: str, state: Document) -> Document:
        """What the server says to a proposal, and does."""
        found = self.runs[run]
        old, new = found["state"], state["type"]
        transition = (state.get("state_details") or {}).get("transition_id")
        if transition and old["state_details"].get("transition_id") == transition:
            why = "This run has already made this state transition."
            return _answer("REJECT", old, why)
        refusal = self._refusal(found, old, state)
        if refusal is not None:
            return refusal
        due = old["state_details"].get("scheduled_time")
        if new == "PENDING" and due:
            state = {**state, "state_details": {**state["state_details"], "scheduled_time": due}}
        return _answer("ACCEPT", self.write(run, state))

    def _refusal(self, found: Document, old: Document, state: Document) -> Document | None:
        new, was = state["type"], old["type"]
        if was == "CANCELLING" and new != "CANCELLED":
            return _answer("REJECT", old, "Cannot transition flows that are cancelling")
        if was in _TERMINAL and new in ("CANCELLING", "PAUSED", "CRASHED"):
            return _answer("ABORT", None, "This run is already in a terminal state")
        if new == "PENDING":
            if was in ("PENDING", "RUNNING", "CANCELLING", "CANCELLED"):
                renamed = was == "PENDING" and state.get("name") not in (None, old["name"])
                if not renamed:
                    return _answer("ABORT", None, f"This run is in a {was} state")
            if found["deployment_id"] not in self.deployments:
                return _answer("ABORT", None, "Deployment not found.")
            return self._limited(found)
        return None

    def _limited(self, found: Document) -> Document | None:
        limit = self.limits.get(found["deployment_id"])
        used = sum(
            r["deployment_id"] == found["deployment_id"]
            and r["state"]["type"] in ("PENDING", "RUNNING", "CANCELLING")
            for r in self.runs.values()
        )
        if limit is None or used < limit:
            return None
        due = _iso(self.clock() + 30_000)
        waits = {
            "type": "SCHEDULED",
            "name": "AwaitingConcurrencySlot",
            "state_details": {"scheduled_time": due},
        }
        after = self.write(found["id"], waits)
        return _answer("REJECT", after, "Deployment concurrency limit reached.")

    # -- requests --------------------------------------------------------------------------

    def throttled(self) -> Answer:
        return Answer(429, {"detail": "slow down"}, {"Retry-After": "0"})

    def handle(self, request: Request) -> Answer | None:
        if self.down:
            return None
        return super().handle(request)

    def answer(self, request: Request) -> Answer:
        import base64

        wanted = f"Basic {base64.b64encode(self.auth.encode()).decode()}"
        if self.auth and request.headers.get("authorization") != wanted:
            return Answer(401, {"exception_message": "Unauthorized"})
        if not request.path.startswith("/api/"):
            return Answer(404, {"detail": "Not Found"})
        path = request.path.removeprefix("/api")
        if path == "/flow_run_states/":
            return Answer(200, self.history.get(request.query["flow_run_id"], []))
        for pattern, verb in _ROUTES:
            match = re.fullmatch(pattern, f"{request.method} {path}")
            if match:
                body = request.json if request.body else {}
                found = verb(self, body, *match.groups())
                return found if isinstance(found, Answer) else Answer(200, found)
        return Answer(404, {"detail": f"Not Found: {request.method} {path}"})

    def _version(self, _: Document) -> Any:
        return self.said_version

    def _pools(self, body: Document) -> Any:
        wanted = body["work_pools"]
        return [
            p
            for p in self.pools.values()
            if p["id"] in wanted.get("id", {}).get("any_", [p["id"]])
            and p["name"] in wanted.get("name", {}).get("any_", [p["name"]])
        ]

    def _queues(self, body: Document) -> Any:
        return list(self.queues.values())[body.get("offset", 0) :]

    def _pool_workers(self, _: Document, name: str) -> Any:
        return self.workers.get(name, [])

    def _beat(self, body: Document, name: str) -> Answer:
        kept = [w for w in self.workers.get(name, []) if w["name"] != body["name"]]
        self.workers[name] = [*kept, {"name": body["name"], "status": "ONLINE"}]
        return Answer(204)

    def _leave(self, _: Document, name: str, worker: str) -> Answer:
        self.workers[name] = [w for w in self.workers.get(name, []) if w["name"] != worker]
        return Answer(204)

    def _flow_runs(self, body: Document) -> Any:
        pools = (body.get("work_pools") or {}).get("id", {}).get("any_")
        found = [
            self._row(run)
            for run in self.runs.values()
            if _fits(run, body["flow_runs"]) and (pools is None or self._pool_of(run) in pools)
        ]
        offset = body.get("offset", 0)
        return found[offset : offset + body.get("limit", 200)]

    def _row(self, run: Document) -> Document:
        return {**run, "work_pool_id": self._pool_of(run)}

    def _pool_of(self, run: Document) -> str | None:
        queue = self.queues.get(run["work_queue_id"] or "")
        return queue["work_pool_id"] if queue else None

    def _bulk(self, body: Document) -> Any:
        wanted = body["flow_runs"]
        assert wanted["id"]["any_"], "an empty filter is every run of the server"
        fitting = [run["id"] for run in self.runs.values() if _fits(run, wanted)]
        results = [
            {"flow_run_id": each, **self.propose(each, body["state"])}
            for each in fitting[: body["limit"]]
        ]
        return {"results": results}

    def _patch(self, body: Document, run: str) -> Answer:
        if run not in self.runs:
            return Answer(404, {"detail": "Flow run not found"})
        self.runs[run] |= body
        return Answer(204)

    def _deployments(self, body: Document) -> Any:
        if "work_pools" in body:
            names = body["work_pools"]["name"]["any_"]
            return [d for d in self.deployments.values() if d["pool"] in names]
        ids = body["deployments"]["id"]["any_"]
        return [self.deployments[each] for each in ids if each in self.deployments]

    def _flows(self, body: Document) -> Any:
        return [self.flows[i] for i in body["flows"]["id"]["any_"] if i in self.flows]

    def _logs(self, body: Any) -> Answer:
        self.logs += body
        return Answer(201)

    def _variable(self, _: Document, name: str) -> Any:
        if name not in self.variables:
            return Answer(404, {"detail": "Variable not found."})
        return {"name": name, "value": self.variables[name]}

    def _block(self, _: Document, slug: str, name: str) -> Any:
        if (slug, name) not in self.blocks:
            return Answer(404, {"detail": "Block document not found"})
        return {"data": self.blocks[slug, name]}

    def _webhook_type(self, _: Document) -> Any:
        return {"id": "webhook-type"}

    def _schemas(self, body: Document) -> Any:
        assert body["block_schemas"]["block_type_id"]["any_"] == ["webhook-type"]
        return [{"id": "webhook-schema"}]

    def _save_webhook(self, body: Document) -> Any:
        return self._kept(self.webhooks, body)

    def _save_automation(self, body: Document) -> Any:
        return self._kept(self.automations, body)

    def _webhooks(self, body: Document) -> Any:
        return _named(self.webhooks, body["block_documents"])

    def _automations(self, body: Document) -> Any:
        return _named(self.automations, body["automations"])

    def _remove_webhook(self, _: Document, number: str) -> Answer:
        return Answer(204 if self.webhooks.pop(number, None) else 404)

    def _remove_automation(self, _: Document, number: str) -> Answer:
        return Answer(204 if self.automations.pop(number, None) else 404)

    def _kept(self, where: dict[str, Document], body: Document) -> Document:
        kept = {**body, "id": self._id()}
        where[kept["id"]] = kept
        return kept

    def _id(self) -> str:
        self._ids += 1
        return str(UUID(int=self._ids))


_ROUTES: list[tuple[str, Callable[..., Any]]] = [
    (r"GET /admin/version", FakePrefect._version),
    (r"POST /work_pools/filter", FakePrefect._pools),
    (r"POST /work_queues/filter", FakePrefect._queues),
    (r"POST /work_pools/([^/]+)/workers/filter", FakePrefect._pool_workers),
    (r"POST /work_pools/([^/]+)/workers/heartbeat", FakePrefect._beat),
    (r"DELETE /work_pools/([^/]+)/workers/([^/]+)", FakePrefect._leave),
    (r"POST /flow_runs/filter", FakePrefect._flow_runs),
    (r"POST /flow_runs/bulk_set_state", FakePrefect._bulk),
    (r"PATCH /flow_runs/([^/]+)", FakePrefect._patch),
    (r"POST /deployments/filter", FakePrefect._deployments),
    (r"POST /flows/filter", FakePrefect._flows),
    (r"POST /logs/", FakePrefect._logs),
    (r"GET /block_types/slug/webhook", FakePrefect._webhook_type),
    (r"POST /block_schemas/filter", FakePrefect._schemas),
    (r"POST /block_documents/filter", FakePrefect._webhooks),
    (r"POST /block_documents/", FakePrefect._save_webhook),
    (r"DELETE /block_documents/([^/]+)", FakePrefect._remove_webhook),
    (r"POST /automations/filter", FakePrefect._automations),
    (r"POST /automations/", FakePrefect._save_automation),
    (r"DELETE /automations/([^/]+)", FakePrefect._remove_automation),
    (r"GET /variables/name/([^/]+)", FakePrefect._variable),
    (r"GET /block_types/slug/([^/]+)/block_documents/name/([^/]+)", FakePrefect._block),
]


def _named(kept: dict[str, Document], wanted: Document) -> list[Document]:
    return [each for each in kept.values() if each["name"] in wanted["name"]["any_"]]


def _fits(run: Document, wanted: Document) -> bool:
    tests = []
    if "id" in wanted:
        tests.append(run["id"] in wanted["id"]["any_"])
    if "state" in wanted:
        tests.append(run["state"]["type"] in wanted["state"]["type"]["any_"])
    if "next_scheduled_start_time" in wanted:
        due, bounds = run["next_scheduled_start_time"], wanted["next_scheduled_start_time"]
        after, before = bounds.get("after_", ""), bounds.get("before_", "9")
        tests.append(due is not None and after <= due <= before)
    return any(tests) if wanted.get("operator") == "or_" else all(tests)


def _answer(status: str, state: Document | None, reason: str = "") -> Document:
    return {"status": status, "state": state, "details": {"reason": reason}}


def _iso(at: int) -> str:
    return (
        datetime.fromtimestamp(at / 1000, UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )
