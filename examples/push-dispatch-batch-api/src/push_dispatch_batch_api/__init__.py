"""How are attempts started, watched and stopped on the batch service?

    BATCH_API_URL   where it is

The service refuses a name twice, so an attempt is started once: what is there is adopted.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.rest import Reply, Rest

__all__ = ["BatchApi"]

_STATUS = {"queued": Status.STARTING, "running": Status.RUNNING, "ended": Status.ENDED}


class BatchApi:
    """The handle of an attempt is its name."""

    name: ClassVar[str] = "batch-api"
    capabilities: ClassVar[Capabilities] = Capabilities(finds_by_name=True, reads_logs=True)

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._api = Rest(environ.get("BATCH_API_URL", "https://batch.example.com"), dict)

    def push(self, job: Job) -> str:
        """See `Platform.push`."""
        reply = self._api.call("POST", "/jobs", body=_body(job))
        if reply.ok or (reply.status == 409 and self.find(job)):
            return job.name
        raise _error(reply)

    def find(self, job: Job) -> str | None:
        """See `FindsByName.find`."""
        reply = self._api.call("GET", f"/jobs/{job.name}")
        if reply.ok:
            return job.name
        if reply.status == 404:
            return None
        raise _asked(reply)

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. One request for all."""
        unknown = [Observation(w.run_id, w.attempt, Status.UNKNOWN, w.handle) for w in jobs]
        if not jobs:
            return []
        try:
            reply = self._api.call(
                "GET", "/jobs", query={"names": ",".join(w.handle for w in jobs)}
            )
        except PlatformError as error:
            return [replace(seen, message=error.message) for seen in unknown]
        if not reply.ok:
            return [replace(seen, message=reply.text) for seen in unknown]
        return [_seen(seen, reply.json["jobs"].get(seen.handle)) for seen in unknown]

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`."""
        reply = self._api.call("POST", f"/jobs/{handle}/stop")
        if not reply.ok and reply.status != 404:
            raise _asked(reply)

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs.logs`."""
        reply = self._api.call("GET", f"/jobs/{handle}/log")
        yield from reply.json["lines"] if reply.ok else ()


def _body(job: Job) -> dict[str, Any]:
    configuration = job.configuration
    try:
        words = shlex.split(configuration.get("command") or "")
    except ValueError as error:
        raise Rejected(f"command: {error}", reason="template_invalid") from error
    env = {k: str(v) for k, v in (configuration.get("env") or {}).items() if v is not None}
    return {"name": job.name, "command": words, "env": env}


def _seen(unknown: Observation, job: Mapping[str, Any] | None) -> Observation:
    if job is None:
        return replace(unknown, status=Status.LOST)
    return replace(unknown, status=_STATUS[job["state"]], exit_code=job.get("exit_code"))


def _error(reply: Reply) -> PlatformError:
    if reply.status == 429:
        return Throttled(reply.text, after_seconds=reply.retry_after)
    if reply.status == 507:
        return NoCapacity(reply.text)
    return Rejected(reply.text) if reply.status < 500 else Uncertain(reply.text)


def _asked(reply: Reply) -> PlatformError:
    """Of a question that was refused nothing can be concluded."""
    error = _error(reply)
    return error if isinstance(error, Throttled | Uncertain) else Uncertain(reply.text)
