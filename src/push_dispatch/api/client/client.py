"""How does a Python program use push-dispatch? By this client, wherever the system is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, Unpack

from push_dispatch.api.client.backend import Backend, Choice, found
from push_dispatch.api.client.errors import error_of
from push_dispatch.api.client.handle import RunHandle
from push_dispatch.api.client.jobs import Job
from push_dispatch.api.client.transport import Transport
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from push_dispatch.core.model import RunState

__all__ = ["Client", "Filter", "Submission"]

P = ParamSpec("P")
R = TypeVar("R")

#: Runs of one request.
_BATCH = 500


class Submission(TypedDict, total=False):
    """What may be asked of a run. Durations are seconds."""

    queue: str
    name: str
    job_variables: Mapping[str, Any]
    parameters: Mapping[str, Any]
    tags: Sequence[str]
    #: Earliest start, with a time zone; or in so many seconds.
    at: datetime
    in_seconds: int
    start_within: int
    start_by_seconds: int
    timeout_seconds: int
    retries: int
    crash_retries: int
    retry_delay_seconds: int
    idempotency_key: str
    concurrency_key: str
    traceparent: str


class Filter(TypedDict, total=False):
    """Which runs: those that fit everything that is given."""

    state: RunState | str | Sequence[RunState | str]
    queue: str
    deployment: str
    tag: str
    name: str
    concurrency_key: str
    submitted_from: datetime
    submitted_before: datetime


class Client:
    """Finds the system when it is first used, in the order of the command line: a URL, a local
    runtime by name, AWS by profile, region or environment, the local runtime that is up, AWS."""

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        local: str | None = None,
        profile: str | None = None,
        region: str | None = None,
        results: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        """`results` is where jobs leave their results: `s3://BUCKET/PREFIX` or `file:///FOLDER`;
        by default a folder of the local runtime. `transport` is used instead of one that is found.
        """
        self._choice = Choice(url, token, local, profile, region)
        self._results = results
        self._found = None if transport is None else Backend(transport)

    # -- runs ---------------------------------------------------------------------------------

    def submit(
        self,
        pool: str | None = None,
        command: str | Sequence[str] | None = None,
        *,
        deployment: str | None = None,
        **fields: Unpack[Submission],
    ) -> RunHandle:
        """Submit a run of a pool, or of a deployment, whose defaults it takes.

        With an idempotency key, the same request made again returns the run that is there. Raises
        Invalid (also `idempotency_key_reused`), NotFound, Unavailable.
        """
        body = _body(command, deployment, fields)
        where = self._pool_of(pool, deployment)
        done = self.request("POST", f"/v1/pools/{_part(where)}/runs", body)
        return RunHandle(self, done["run"], created=done["created"])

    def submit_many(
        self, pool: str, requests: Iterable[Mapping[str, Any] | str | Sequence[str]]
    ) -> list[RunHandle]:
        """Submit many runs, each given as a command or as a mapping with the fields of
        `Submission`, `command` and `deployment`. Each 500 of them are validated before the first
        of these is stored. Raises as `submit` does."""
        bodies = [_request(each) for each in requests]
        handles: list[RunHandle] = []
        for start in range(0, len(bodies), _BATCH):
            part = {"runs": bodies[start : start + _BATCH]}
            done = self.request("POST", f"/v1/pools/{_part(pool)}/runs/batch", part)["items"]
            for each in done:
                if each["differs"]:
                    problem = f"run {each['run']['id']} has the same idempotency key and other"
                    what = ", ".join(each["differs"])
                    raise Invalid(
                        f"{problem} content: {what}", reason=Reason.IDEMPOTENCY_KEY_REUSED
                    )
                handles.append(RunHandle(self, each["run"], created=each["created"]))
        return handles

    def map(self, job: Job[Any, R], inputs: Iterable[Any]) -> Iterator[R]:
        """Run a job once for each input: see `Job.map`."""
        return job.map(inputs)

    def run(self, id: str) -> RunHandle:
        """Read a run by its id. Raises Invalid, NotFound (`run_not_found`)."""
        from push_dispatch.core.model import parse_run_id  # noqa: PLC0415 - costs 40 ms

        pool, _ = parse_run_id(id)
        return RunHandle(self, self.request("GET", f"/v1/pools/{pool}/runs/{id}"))

    def runs(self, pool: str, **wanted: Unpack[Filter]) -> Iterator[RunHandle]:
        """Yield the runs of a pool that fit, newest first, read page by page as the iterator goes;
        those with an idempotency key come behind the others."""
        for view in self._pages(f"/v1/pools/{_part(pool)}/runs", _filter(wanted)):
            yield RunHandle(self, view)

    def cancel_runs(
        self, pool: str, *, dry_run: bool = False, **wanted: Unpack[Filter]
    ) -> list[RunHandle]:
        """Cancel the runs that fit and have not ended, and return them; `dry_run` only finds
        them."""
        return self._bulk(pool, "cancel", wanted, dry_run=dry_run)

    def retry_runs(
        self, pool: str, *, dry_run: bool = False, **wanted: Unpack[Filter]
    ) -> list[RunHandle]:
        """Retry the runs that fit and have ended, and return the new ones; `dry_run` only finds
        those that would be retried."""
        return self._bulk(pool, "retry", wanted, dry_run=dry_run)

    def job(
        self, *, pool: str, python: str = "python3", **fields: Unpack[Submission]
    ) -> Callable[[Callable[P, R]], Job[P, R]]:
        """Make a function of an importable module one that can also run in a pool: see `Job`.
        `python` is the program that executes it there."""

        def make(function: Callable[P, R]) -> Job[P, R]:
            return Job(self, function, pool, python, fields)

        return make

    # -- pools and deployments ----------------------------------------------------------------

    def pools(self) -> list[dict[str, Any]]:
        """List the pools with their queues: the shape of `pool ls --json`."""
        return list(self._pages("/v1/pools", {}))

    def pool(self, name: str) -> dict[str, Any]:
        """Read one pool. Raises NotFound (`pool_not_found`)."""
        found: dict[str, Any] = self.request("GET", f"/v1/pools/{_part(name)}")
        return found

    def create_pool(self, name: str, type: str, **settings: Any) -> dict[str, Any]:
        """Create a pool; `settings` are those of pools.yaml. Raises Refused (`pool_exists`),
        Invalid."""
        body, headers = {"type": type, **settings}, {"If-None-Match": "*"}
        made: dict[str, Any] = self.request(
            "PUT", f"/v1/pools/{_part(name)}", body, headers=headers
        )
        return made

    def update_pool(self, name: str, **changes: Any) -> dict[str, Any]:
        """Change what is given of a pool; None clears a limit or a rate. Raises NotFound,
        Invalid."""
        changed: dict[str, Any] = self.request("PATCH", f"/v1/pools/{_part(name)}", changes)
        return changed

    def explain_pool(self, name: str) -> dict[str, Any]:
        """Explain who holds the slots of a pool and who waits, and why."""
        found: dict[str, Any] = self.request("GET", f"/v1/pools/{_part(name)}/explain")
        return found

    def deployments(self) -> list[dict[str, Any]]:
        """List the deployments with their schedules."""
        return list(self._pages("/v1/deployments", {}))

    def deployment(self, name: str) -> dict[str, Any]:
        """Read one deployment. Raises NotFound (`deployment_not_found`)."""
        found: dict[str, Any] = self.request("GET", f"/v1/deployments/{_part(name)}")
        return found

    # -- any request --------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send any request of the HTTP API, and return the JSON of its reply. Raises Invalid,
        NotFound, Refused, Conflict, Unavailable, PushDispatchError, by its status."""
        status, value = self._backend.transport.send(method, path, query or {}, body, headers or {})
        if status >= 400:
            raise error_of(status, value)
        return value

    @property
    def results(self) -> str:
        """Where jobs leave their results; empty is nowhere."""
        import os  # noqa: PLC0415

        given = self._results or os.environ.get("PUSH_DISPATCH_RESULTS")
        return given or self._backend.results

    @property
    def _backend(self) -> Backend:
        if self._found is None:
            self._found = found(self._choice)
        return self._found

    def _pool_of(self, pool: str | None, deployment: str | None) -> str:
        if pool is not None:
            return pool
        if deployment is None:
            raise Invalid("name a pool, or a deployment")
        return str(self.deployment(deployment)["pool"])

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        after: str | None = ""
        while after is not None:
            page = self.request("GET", path, query={**query, "after": after, "limit": 200})
            yield from page["items"]
            after = page["next"]

    def _bulk(
        self, pool: str, verb: str, wanted: Mapping[str, Any], *, dry_run: bool
    ) -> list[RunHandle]:
        body = {**_filter(wanted), "dry_run": dry_run, "limit": 200}
        handles: list[RunHandle] = []
        after: str | None = ""
        while after is not None:
            body["after"] = after
            done = self.request("POST", f"/v1/pools/{_part(pool)}/runs/{verb}", body)
            handles += [RunHandle(self, view) for view in done["items"]]
            after = done["next"]
        return handles


def _request(given: Mapping[str, Any] | str | Sequence[str]) -> dict[str, Any]:
    if isinstance(given, Mapping):
        fields = dict(given)
        return _body(fields.pop("command", None), fields.pop("deployment", None), fields)
    return _body(given, None, {})


def _body(
    command: str | Sequence[str] | None, deployment: str | None, fields: Mapping[str, Any]
) -> dict[str, Any]:
    body = dict(fields)
    import shlex  # noqa: PLC0415 - importing the package costs little

    if command is not None:
        variables = dict(body.get("job_variables", {}))
        if "command" in variables:
            raise Invalid("the command is given twice: as such and as a job variable")
        variables["command"] = command if isinstance(command, str) else shlex.join(command)
        body["job_variables"] = variables
    if deployment is not None:
        body["deployment"] = deployment
    if hasattr(body.get("at"), "isoformat"):
        body["at"] = _iso(body["at"])
    if "tags" in body:
        body["tags"] = list(body["tags"])
    return body


def _filter(wanted: Mapping[str, Any]) -> dict[str, Any]:
    query = {n: _iso(v) if hasattr(v, "isoformat") else v for n, v in wanted.items()}
    if isinstance(query.get("state"), str):
        query["state"] = [query["state"]]
    return query


def _iso(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise Invalid(f"{moment} has no time zone", reason=Reason.INVALID_TIME)
    return moment.isoformat()


def _part(name: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - importing the package costs little

    return quote(name, safe="")
