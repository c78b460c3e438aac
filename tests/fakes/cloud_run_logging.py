"""Cloud Logging, as far as the log of a job is read from it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.fakes.cloud_run_service import LOCATION, PROJECT
from tests.fakes.rest_server import Answer, Request, RestServer

_LOGS = f"projects/{PROJECT}/logs/run.googleapis.com"


class FakeLogging(RestServer):
    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[str, dict[str, Any]]] = []
        #: The most that a page has.
        self.page = 10

    def write(self, job: str, execution: str, line: str | dict[str, Any]) -> None:
        payload = {"textPayload": line} if isinstance(line, str) else {"jsonPayload": line}
        filter_ = " AND ".join(
            (
                'resource.type="cloud_run_job"',
                f'resource.labels.job_name="{job}"',
                f'resource.labels.location="{LOCATION}"',
                f'labels."run.googleapis.com/execution_name"="{execution}"',
                f'(logName="{_LOGS}%2Fstdout" OR logName="{_LOGS}%2Fstderr")',
            )
        )
        entry = {"timestamp": dt.datetime.now(dt.UTC).isoformat(), **payload}
        self.entries.append((filter_, entry))

    def answer(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/v2/entries:list"):
            return _failure(404, "NOT_FOUND", "no such method")
        body = request.json
        if body["resourceNames"] != [f"projects/{PROJECT}"]:
            return _failure(403, "PERMISSION_DENIED", "Permission denied for all log views")
        if body.get("orderBy") != "timestamp asc":
            return _failure(400, "INVALID_ARGUMENT", "the newest come first: orderBy is missing")
        found = [entry for filter_, entry in self.entries if filter_ == body["filter"]]
        start = int(body.get("pageToken") or 0)
        end = start + min(body.get("pageSize", 50), self.page)
        # Without entries the real answer has no such member.
        page: dict[str, Any] = {"entries": found[start:end]} if found[start:end] else {}
        if end < len(found):
            page["nextPageToken"] = str(end)
        return Answer(200, page)

    def throttled(self) -> Answer:
        answer = _failure(
            429, "RESOURCE_EXHAUSTED", "Quota exceeded for 'Read requests per minute'"
        )
        return Answer(429, answer.body, {"Retry-After": "17"})


def _failure(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "status": code, "message": message}})
