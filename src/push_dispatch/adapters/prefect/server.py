"""How are the bridge's verbs said in Prefect's REST API?

`bulk_set_state` is the one verb that writes states: its filter is a precondition, which plain
`set_state` has not, and without which a late message would bring a finished run back to life.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote

from push_dispatch.adapters.prefect import documents, hints
from push_dispatch.adapters.prefect.rest import Reply, Rest
from push_dispatch.core.errors import Invalid, Rejected, Unavailable
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.prefect import (
    Address,
    Answer,
    Deployment,
    FlowRun,
    Proposal,
    Worker,
    WorkPool,
    WorkQueue,
)
from push_dispatch.ports.secrets import Secrets

__all__ = ["PrefectServer", "connect"]

_PAGE = 200
#: Runs of one `bulk_set_state`, as far as the server takes them.
_BULK = 50
_LIVE = ("CANCELLING", "PENDING", "RUNNING")


def connect(address: Address, secrets: Secrets) -> PrefectServer:
    """Open a server. Raises Rejected (`secret_unavailable`), Invalid for a file of certificates
    that cannot be read."""

    def read(name: str) -> str:
        try:
            return secrets.read(name)
        except KeyError as error:
            raise Rejected(
                f"secret {name!r} of the Prefect server at {address.api_url} cannot be read",
                reason=Reason.SECRET_UNAVAILABLE,
            ) from error

    headers = dict(address.headers)
    if address.headers_secret:
        headers |= _headers(read(address.headers_secret), address.headers_secret)
    if address.auth_secret:
        encoded = base64.b64encode(read(address.auth_secret).encode()).decode()
        headers["Authorization"] = f"Basic {encoded}"
    elif address.key_secret:
        headers["Authorization"] = f"Bearer {read(address.key_secret)}"
    return PrefectServer(Rest(address.api_url.rstrip("/"), headers, _tls(address)))


def _headers(text: str, name: str) -> dict[str, str]:
    """The headers in a secret. Raises Invalid, without its value."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Invalid(f'secret {name!r} is no JSON object of headers, such as {{"X-Access": "…"}}')
    return found


def _tls(address: Address) -> ssl.SSLContext | None:
    if not address.api_url.startswith("https:"):
        return None
    try:
        context = ssl.create_default_context(cafile=address.ca_file or None)
    except OSError as error:
        raise Invalid(f"certificates {address.ca_file!r} cannot be read: {error}") from error
    if not address.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def batched(items: Iterable[str], most: int) -> Iterator[list[str]]:
    """Lists of at most `most` items."""
    rest = iter(items)
    while some := list(islice(rest, most)):
        yield some


class PrefectServer:
    """One server. Safe to share between threads."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._flows: dict[str, str] = {}

    @property
    def requests(self) -> int:
        return self._rest.requests

    def version(self) -> str:
        return str(self._get("/admin/version"))

    # -- pools and queues ------------------------------------------------------------------

    def pool(self, name: str) -> WorkPool | None:
        found = self._filter("/work_pools/filter", work_pools={"name": {"any_": [name]}})
        return next(map(documents.work_pool, found), None)

    def pools(self, ids: Iterable[str]) -> dict[str, WorkPool]:
        found = self._by_ids("/work_pools/filter", "work_pools", ids)
        return {row["id"]: documents.work_pool(row) for row in found}

    def queues(self, pool_ids: Iterable[str]) -> dict[str, list[WorkQueue]]:
        by_pool: dict[str, list[WorkQueue]] = {each: [] for each in pool_ids}
        offset = 0
        while True:
            rows = self._filter("/work_queues/filter", offset=offset)
            for row in rows:
                if row.get("work_pool_id") in by_pool:
                    by_pool[row["work_pool_id"]].append(documents.work_queue(row))
            offset += len(rows)
            if len(rows) < _PAGE:
                return by_pool

    def workers(self, pool: str) -> list[Worker]:
        found = self._filter(f"/work_pools/{quote(pool, safe='')}/workers/filter")
        return [Worker(row["name"], row.get("status") == "ONLINE") for row in found]

    def beat(self, pool: str, seconds: int) -> None:
        body = {"name": "push-dispatch", "heartbeat_interval_seconds": seconds}
        self._done("POST", f"/work_pools/{quote(pool, safe='')}/workers/heartbeat", body)

    # -- runs ------------------------------------------------------------------------------

    def watched(self, pool_ids: Sequence[str], until: int) -> list[FlowRun]:
        """See `Server.watched`. One request while fewer than 200 runs are due or alive."""
        due = {"before_": documents.iso(until)}
        both = {
            "operator": "or_",
            "state": {"type": {"any_": list(_LIVE)}},
            "next_scheduled_start_time": due,
        }
        rows = self._runs(pool_ids, both)
        if len(rows) < _PAGE:
            return [documents.flow_run(row) for row in rows]
        live = self._paged(pool_ids, {"state": {"type": {"any_": list(_LIVE)}}})
        scheduled = self._paged(
            pool_ids,
            {"state": {"type": {"any_": ["SCHEDULED"]}}, "next_scheduled_start_time": due},
        )
        found = {row["id"]: row for row in (*live, *scheduled)}
        return [documents.flow_run(row) for row in found.values()]

    def leave(self, pool: str) -> None:
        self._rest.call("DELETE", f"/work_pools/{quote(pool, safe='')}/workers/push-dispatch")

    def runs(self, ids: Iterable[str]) -> dict[str, FlowRun]:
        found = self._by_ids("/flow_runs/filter", "flow_runs", ids)
        return {row["id"]: documents.flow_run(row) for row in found}

    def deployments(self, ids: Iterable[str]) -> dict[str, Deployment]:
        found = self._by_ids("/deployments/filter", "deployments", ids)
        return {row["id"]: documents.deployment(row) for row in found}

    def deployments_of(self, pool: str) -> list[Deployment]:
        named = {"name": {"any_": [pool]}}
        found: list[Deployment] = []
        while True:
            rows = self._filter("/deployments/filter", work_pools=named, offset=len(found))
            found += map(documents.deployment, rows)
            if len(rows) < _PAGE:
                return found

    def flow_names(self, ids: Iterable[str]) -> dict[str, str]:
        """See `Server.flow_names`. Kept: a flow is never renamed."""
        wanted = set(ids)
        if missing := wanted - set(self._flows):
            found = self._by_ids("/flows/filter", "flows", missing)
            self._flows.update({row["id"]: row["name"] for row in found})
        return {each: self._flows[each] for each in wanted if each in self._flows}

    def propose(self, ids: Sequence[str], proposal: Proposal) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        for some in batched(ids, _BULK):
            # Never an empty filter: it would be all runs of the server.
            wanted: dict[str, Any] = {
                "id": {"any_": list(some)},
                "state": {"type": {"any_": list(proposal.if_types)}},
            }
            if proposal.if_due:
                due = {"after_": proposal.if_due, "before_": proposal.if_due}
                wanted["next_scheduled_start_time"] = due
            body = {
                "flow_runs": wanted,
                "state": documents.proposed(proposal),
                "limit": len(some),
            }
            reply = self._done("POST", "/flow_runs/bulk_set_state", body)
            results = reply.json.get("results", [])
            answers |= {row["flow_run_id"]: documents.answer(row) for row in results}
        return answers

    def last_claim(self, run: str) -> str:
        found = [documents.state(row) for row in self._get(f"/flow_run_states/?flow_run_id={run}")]
        claims = [state for state in found if state.type == "PENDING"]
        last = max(claims, key=lambda state: state.timestamp, default=None)
        return last.transition_id if last else ""

    def note_infrastructure(self, run: str, pid: str) -> None:
        self._rest.call("PATCH", f"/flow_runs/{run}", {"infrastructure_pid": pid})

    def log(self, run: str, level: int, message: str, now: int) -> None:
        line = {
            "name": "push-dispatch",
            "level": level,
            "message": message,
            "timestamp": documents.iso(now),
            "flow_run_id": run,
        }
        self._done("POST", "/logs/", [line])

    # -- hints -----------------------------------------------------------------------------

    def add_hint(self, pool: WorkPool, url: str, secret: str) -> tuple[str, str]:
        name = f"push-dispatch-{pool.id}"
        self._forget_hint(name)
        kind = self._get("/block_types/slug/webhook")["id"]
        wanted = {"block_type_id": {"any_": [kind]}}
        schema = self._filter("/block_schemas/filter", block_schemas=wanted)[0]["id"]
        document = {
            "name": name,
            "data": hints.block_data(url, secret),
            "block_type_id": kind,
            "block_schema_id": schema,
        }
        block = self._done("POST", "/block_documents/", document).json["id"]
        automation = hints.automation(name, pool, block)
        return self._done("POST", "/automations/", automation).json["id"], block

    def remove_hint(self, automation: str, block: str) -> None:
        if automation:
            self._rest.call("DELETE", f"/automations/{automation}")
        if block:
            self._rest.call("DELETE", f"/block_documents/{block}")

    def _forget_hint(self, name: str) -> None:
        """What an attachment that was interrupted has left."""
        named = {"name": {"any_": [name]}}
        for row in self._filter("/automations/filter", automations=named):
            self.remove_hint(row["id"], "")
        for row in self._filter("/block_documents/filter", block_documents={**named}):
            self.remove_hint("", row["id"])

    # -- what job variables refer to -------------------------------------------------------

    def variable(self, name: str) -> Any:
        return self._named(f"/variables/name/{quote(name, safe='')}")["value"]

    def block(self, type_slug: str, name: str) -> Any:
        slug, named = quote(type_slug, safe=""), quote(name, safe="")
        path = f"/block_types/slug/{slug}/block_documents/name/{named}?include_secrets=true"
        return self._named(path)["data"]

    # -- details ---------------------------------------------------------------------------

    def _runs(self, pool_ids: Sequence[str], wanted: Mapping[str, Any], **more: Any) -> list[Any]:
        pools = {"id": {"any_": list(pool_ids)}}
        more = {"sort": "ID_DESC", **more}
        return self._filter("/flow_runs/filter", flow_runs=wanted, work_pools=pools, **more)

    def _paged(self, pool_ids: Sequence[str], wanted: Mapping[str, Any]) -> Iterator[Any]:
        """All pages. Runs that leave the set meanwhile move others up, over the edge of a page:
        those come with the next look."""
        offset = 0
        while True:
            rows = self._runs(pool_ids, wanted, offset=offset)
            yield from rows
            offset += len(rows)
            if len(rows) < _PAGE:
                return

    def _by_ids(self, path: str, what: str, ids: Iterable[str]) -> list[Any]:
        found: list[Any] = []
        for some in batched(dict.fromkeys(ids), _PAGE):
            found += self._filter(path, **{what: {"id": {"any_": list(some)}}})
        return found

    def _filter(self, path: str, **body: Any) -> list[Any]:
        found = self._done("POST", path, {"limit": _PAGE, **body}).json
        if not isinstance(found, list):
            raise Unavailable(f"{path} answers with no list", reason=Reason.PREFECT_UNAVAILABLE)
        return found

    def _get(self, path: str) -> Any:
        return self._done("GET", path).json

    def _named(self, path: str) -> Any:
        reply = self._rest.call("GET", path)
        if reply.status == 404:
            raise KeyError(path)
        return self._accepted(reply, path).json

    def _done(self, method: str, path: str, body: Any = None) -> Reply:
        return self._accepted(self._rest.call(method, path, body), path)

    def _accepted(self, reply: Reply, path: str) -> Reply:
        if reply.status >= 400:
            raise Invalid(f"Prefect refuses {path} ({reply.status}): {reply.detail}")
        return reply
