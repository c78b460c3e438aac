"""Vertex AI with its traps: it gives ids itself and takes the same job twice, lists lag behind, and
it runs a failed job again unless told not to. Cloud Logging is beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from tests.fakes.google_sign_in import BehindGoogle
from tests.fakes.rest_server import Answer, Request, RestServer

PROJECT, REGION = "acme-runs", "europe-west4"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
_JOBS = f"/v1/{PARENT}/customJobs"
_ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
_CONTAINER = {"imageUri", "command", "args", "env"}


def variables() -> dict[str, Any]:
    return {"project": PROJECT, "region": REGION, "image": "job:1", "command": "python -m etl"}


class FakeVertex(BehindGoogle, RestServer):
    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        #: Access tokens that are accepted; None accepts everybody.
        self.tokens: set[str] | None = None
        #: Lists do not show the jobs that are created from now on.
        self.lagging = False
        self._hidden: set[str] = set()
        self.logging = FakeMlLogging()

    def __enter__(self) -> Self:
        self.logging.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.logging.__exit__(*error)
        self.leave_google()

    def environ(self) -> dict[str, str]:
        return {
            "PUSH_DISPATCH_VERTEX_ENDPOINT": self.url,
            "PUSH_DISPATCH_CLOUD_LOGGING_ENDPOINT": self.logging.url,
        }

    # -- what the contract suite needs -----------------------------------------------------------

    def starts(self, name: str) -> int:
        return sum(_is(name, job) for job in self.created)

    def requests(self, name: str) -> Sequence[Any]:
        bodies = [r.json for r in self.received if r.method == "POST" and r.path == _JOBS]
        return [body for body in bodies if _is(name, body)]

    def environment(self, name: str) -> Mapping[str, str]:
        [pool] = self._job(name)["jobSpec"]["workerPoolSpecs"]
        return {entry["name"]: entry["value"] for entry in pool["containerSpec"]["env"]}

    def begin(self, name: str) -> None:
        job = self._job(name)
        if job["state"] == "JOB_STATE_PENDING":
            job |= {"state": "JOB_STATE_RUNNING", "startTime": _now()}

    def finish(self, name: str, exit_code: int) -> None:
        if exit_code == 0:
            self.end(name, "JOB_STATE_SUCCEEDED")
        else:
            text = "The replica workerpool0-0 exited with a non-zero status of"
            self.end(name, "JOB_STATE_FAILED", f"{text} {exit_code}. Termination reason: Error.")

    def end(self, name: str, state: str, message: str = "", code: int = 3) -> None:
        job = self._job(name)
        error = {"error": {"code": code, "message": message}} if message else {}
        job |= {"state": state, "endTime": _now(), **error}

    def write_log(self, name: str, line: str) -> None:
        self.logging.write(self._job(name)["name"].rpartition("/")[2], line)

    def leftovers(self) -> list[str]:
        """Ended jobs are history."""
        return [name for name, job in self.jobs.items() if job["state"] not in _ENDED]

    def throttled(self) -> Answer:
        text = "Quota exceeded for quota metric 'Job submission requests' per minute per region"
        return refusal(429, "RESOURCE_EXHAUSTED", text)

    # -- the API ---------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        token = request.headers.get("authorization", "").partition(" ")[2]
        if self.tokens is not None and token not in self.tokens:
            return refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials")
        if request.path == _JOBS:
            return self._create(request) if request.method == "POST" else self._list(request)
        job = self.jobs.get(request.path.removeprefix("/v1/").partition(":")[0])
        if job is None:
            return refusal(404, "NOT_FOUND", "The CustomJob does not exist.")
        if not request.path.endswith(":cancel"):
            return Answer(200, job)
        if job["state"] in _ENDED:
            return refusal(400, "FAILED_PRECONDITION", "Cannot cancel a CustomJob that has ended.")
        job |= {"state": "JOB_STATE_CANCELLED", "endTime": _now()}
        return Answer(200, {})

    def _create(self, request: Request) -> Answer:
        body = request.json
        if problem := _problem(body):
            return refusal(400, "INVALID_ARGUMENT", problem)
        name = f"{PARENT}/customJobs/{7_000_000_000_000_000_000 + len(self.created)}"
        job = {**body, "name": name, "state": "JOB_STATE_PENDING", "createTime": _now()}
        self.jobs[name] = job
        self.created.append(job)
        if self.lagging:
            self._hidden.add(name)
        return Answer(200, job)

    def _list(self, request: Request) -> Answer:
        wanted = dict(re.findall(r'labels\.([a-z-]+)="([^"]*)"', request.query["filter"]))
        found = [
            job
            for name, job in self.jobs.items()
            if wanted.items() <= job["labels"].items() and name not in self._hidden
        ]
        # Without jobs the real answer has no such member.
        return Answer(200, {"customJobs": found} if found else {})

    def _job(self, name: str) -> dict[str, Any]:
        return next(job for job in self.jobs.values() if _is(name, job))


class FakeMlLogging(RestServer):
    def __init__(self) -> None:
        super().__init__()
        self._entries: list[tuple[str, str]] = []

    def write(self, job_id: str, line: str) -> None:
        self._entries.append((job_id, line))

    def answer(self, request: Request) -> Answer:
        wanted = re.fullmatch(
            r'resource\.type="ml_job" AND resource\.labels\.job_id="(\d+)"', request.json["filter"]
        )
        job_id = wanted[1] if wanted else ""
        found = [{"jsonPayload": {"message": line}} for job, line in self._entries if job == job_id]
        return Answer(200, {"entries": found} if found else {})


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "status": code, "message": message}})


def _is(name: str, job: Mapping[str, Any]) -> bool:
    labels = job["labels"]
    return f"pd-{labels['push-dispatch-run']}-{labels['push-dispatch-attempt']}" == name


def _problem(job: Mapping[str, Any]) -> str:
    spec = job.get("jobSpec") or {}
    if not job.get("displayName") or len(job["displayName"]) > 128:
        return "displayName is invalid"
    if any("_" in key for key in spec):
        return f"unknown name in job_spec: {list(spec)}"
    scheduling = spec.get("scheduling") or {}
    if not scheduling.get("disableRetries") or scheduling.get("restartJobOnWorkerRestart"):
        return "the fake refuses jobs that are run again unseen"
    for pool in spec.get("workerPoolSpecs") or [{}]:
        container = pool.get("containerSpec") or {}
        if set(container) - _CONTAINER or not container.get("imageUri"):
            return f"containerSpec is invalid: {container}"
        if not isinstance(container.get("command"), list) or not pool.get("machineSpec"):
            return "workerPoolSpecs is invalid"
    for key, value in (job.get("labels") or {}).items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key) or not re.fullmatch(
            r"[a-z0-9_-]{0,63}", value
        ):
            return f"label {key}={value!r} is invalid"
    return ""


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "000Z")
