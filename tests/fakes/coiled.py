"""Coiled, as far as its own client was seen to use it: a job does nothing without a cluster, a
cluster's name is unique while it runs, and is free again afterwards."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.fakes.rest_server import Answer, Request, RestServer

WORKSPACE = "acme"
_CLUSTERS = f"/api/v2/clusters/account/{WORKSPACE}/"
_MACHINES = (
    ("t3.nano", 2, 512, 0, "x86_64"),
    ("t3a.micro", 2, 1_024, 0, "x86_64"),
    ("m6i-flex.large", 2, 8_192, 0, "x86_64"),
    ("c6i.large", 2, 4_096, 0, "x86_64"),
    ("m6i.large", 2, 8_192, 0, "x86_64"),
    ("g4dn.24xlarge", 96, 393_216, 4, "x86_64"),
    ("m6i.2xlarge", 8, 32_768, 0, "x86_64"),
    ("m6i.xlarge", 4, 16_384, 0, "x86_64"),
    ("m7g.xlarge", 4, 16_384, 0, "arm64"),
    ("g4dn.xlarge", 4, 16_384, 1, "x86_64"),
)
_OVER = {"stopped", "error"}
#: Machines of a page of the list.
_PAGE = 3


def variables() -> dict[str, Any]:
    return {"workspace": WORKSPACE, "image": "job:1", "command": "python -m etl 'a b'"}


class FakeCoiled(RestServer):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = {"tok-en": "ApiToken"}
        self.jobs: dict[int, dict[str, Any]] = {}
        self.clusters: dict[int, dict[str, Any]] = {}
        self.software: set[str] = set()
        self.architectures: dict[str, str] = {}
        self._logs: list[tuple[int, str]] = []

    def environ(self) -> dict[str, str]:
        return {"DASK_COILED__SERVER": self.url, "DASK_COILED__TOKEN": "tok-en"}

    # -- what the contract suite needs -----------------------------------------------------------

    def starts(self, name: str) -> int:
        return sum(cluster["name"] == name for cluster in self.clusters.values())

    def requests(self, name: str) -> Sequence[Any]:
        bodies = [
            json.loads(gzip.decompress(request.body))
            for request in self.received
            if request.path == "/api/v2/jobs/compressed"
        ]
        return [body for body in bodies if name in body["user_command"]]

    def environment(self, name: str) -> Mapping[str, str]:
        spec = self._job(name)["spec"]
        return {**spec["env_vars"], **spec["secret_env_vars"]}

    def words(self, name: str) -> list[str]:
        return shlex.split(self._job(name)["spec"]["user_command"])

    def begin(self, name: str) -> None:
        cluster, task = self._cluster(name), self._job(name)["task"]
        if cluster["state"] == "starting":
            cluster["state"] = "ready"
            task |= {"state": "assigned", "start": _now()}

    def finish(self, name: str, exit_code: int) -> None:
        job = self._job(name)
        job["task"] |= {"state": "done", "stop": _now(), "exit_code": exit_code}
        job["state"] = "done" if exit_code == 0 else "done (errors)"
        self._cluster(name)["state"] = "stopped"

    def fail(self, name: str, why: str, state: str = "error") -> None:
        """The machine could not be had, or is gone."""
        self._cluster(name).update(state=state, reason=why)

    def break_task(self, name: str) -> None:
        """It is over without a code, although its cluster and its job go on."""
        self._job(name)["task"]["state"] = "error"

    def write_log(self, name: str, line: str) -> None:
        self._logs.append((self._job(name)["id"], line))

    def leftovers(self) -> list[str]:
        return [c["name"] for c in self.clusters.values() if c["state"] not in _OVER]

    def revoke(self) -> None:
        self.tokens.clear()

    def throttled(self) -> Answer:
        return refusal(429, "RATE_LIMITED", "Request was throttled.")

    # -- the API ---------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self.tokens.get(token) != scheme:
            return refusal(401, "", "Invalid token.")
        path = request.path
        if path == "/api/v2/user/me":
            return Answer(200, {"id": 1, "username": "runner"})
        if path == "/api/v2/jobs/compressed":
            return self._create_job(json.loads(gzip.decompress(request.body)))
        if path == "/api/v2/jobs/":
            return self._list_jobs(request)
        if match := re.fullmatch(r"/api/v2/jobs/cluster/(\d+)", path):
            return self._jobs_of(int(match[1]))
        if path == "/api/v1/vm-types/":
            return _page_of(_machines(request.query), int(request.query.get("page", "1")))
        if path == f"/api/v2/software-environment/account/{WORKSPACE}":
            self.software.add(request.json["name"])
            self.architectures[request.json["name"]] = request.json["architecture"]
            return Answer(200, {"id": 1, "name": request.json["name"]})
        return self._on_clusters(request)

    def _create_job(self, spec: dict[str, Any]) -> Answer:
        if spec["workspace"] != WORKSPACE:
            return refusal(404, "", f"workspace {spec['workspace']} not found")
        if not isinstance(spec["user_command"], str) or spec.get("max_retries"):
            return refusal(400, "", "the fake refuses jobs that are run again unseen")
        number = 1000 + len(self.jobs)
        task = {"state": "pending", "start": None, "stop": None, "exit_code": None}
        self.jobs[number] = {"id": number, "spec": spec, "state": "pending", "task": task}
        return Answer(200, {"id": number})

    def _list_jobs(self, request: Request) -> Answer:
        if request.query["workspace"] != WORKSPACE:
            return refusal(403, "PERMISSIONS", "You are not a member of this workspace.")
        newest = sorted(self.jobs.values(), key=lambda job: -int(job["id"]))
        shown = newest[: int(request.query["limit"])]
        items = [
            {
                "id": job["id"],
                "cluster_id": job.get("cluster"),
                "state": job["state"],
                "user_command": job["spec"]["user_command"],
            }
            for job in shown
        ]
        return Answer(200, {"items": items})

    def _jobs_of(self, cluster_id: int) -> Answer:
        cluster = self.clusters.get(cluster_id)
        if cluster is None:
            return refusal(404, "", "Not found.")
        job = self.jobs[cluster["job"]]
        shown = {
            "id": job["id"],
            "state": job["state"],
            "cluster_state": cluster["state"],
            "cluster_state_reason": cluster.get("reason"),
            "tasks": [{"array_task_id": 0, **job["task"]}],
        }
        return Answer(200, [shown])

    def _on_clusters(self, request: Request) -> Answer:
        rest = request.path.removeprefix(_CLUSTERS)
        if rest == request.path:
            return refusal(404, "", "Not found.")
        if not rest and request.method == "POST":
            return self._create_cluster(request.json)
        kind, _, which = rest.partition("/")
        if kind == "name":
            alive = [i for i, c in self.clusters.items() if _alive(c) and c["name"] == which]
            return Answer(200, {"id": alive[0]}) if alive else refusal(404, "", "Not found.")
        number, _, more = which.partition("/")
        cluster = self.clusters.get(int(number))
        if cluster is None:
            return refusal(404, "", "Not found.")
        if more == "better-logs":
            return self._better_logs(request)
        if request.method == "DELETE" and _alive(cluster):
            cluster["state"] = "stopped"
        return Answer(200, {"id": int(number)})

    def _create_cluster(self, body: dict[str, Any]) -> Answer:
        for number, cluster in self.clusters.items():
            if cluster["name"] == body["name"] and _alive(cluster):
                return Answer(200, {"id": number, "existing": True})
        if body["env_name"] not in self.software and body["env_name"] != "team-software":
            return refusal(404, "", f"software environment {body['env_name']} not found")
        [job] = body["batch_job_ids"]
        number = 500 + len(self.clusters)
        self.clusters[number] = {**body, "job": job, "state": "starting"}
        self.jobs[job]["cluster"] = number
        return Answer(200, {"id": number, "existing": False})

    def _better_logs(self, request: Request) -> Answer:
        match = re.fullmatch(r"__BATCH (\d+)\.0__", request.query["filter_pattern"])
        wanted = int(match[1]) if match else 0
        mine = [
            {"timestamp": n, "instance_id": 1, "message": f"__BATCH {job}.0__ {line}"}
            for n, (job, line) in enumerate(self._logs)
            if job == wanted
        ]
        return Answer(200, {"events": list(reversed(mine))})

    def _job(self, name: str) -> dict[str, Any]:
        return self.jobs[self._cluster(name)["job"]]

    def _cluster(self, name: str) -> dict[str, Any]:
        return next(c for c in self.clusters.values() if c["name"] == name)


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"code": code, "message": message} if code else {"detail": message})


def _alive(cluster: Mapping[str, Any]) -> bool:
    return cluster["state"] not in _OVER


def _machines(query: Mapping[str, str]) -> list[dict[str, Any]]:
    if query.get("backend_type") != "vm_aws":
        return []
    return [
        {"name": name, "cores": cores, "memory": memory, "gpus": gpus}
        for name, cores, memory, gpus, arch in _MACHINES
        if arch == query["arch"]
        and str(cores) == query.get("cores", str(cores))
        and int(query.get("cores__gte", 0)) <= cores <= int(query.get("cores__lte", 1000))
        and float(query.get("memory__gte", 0)) <= memory <= float(query.get("memory__lte", 1e9))
    ]


def _page_of(machines: list[dict[str, Any]], page: int) -> Answer:
    first = (page - 1) * _PAGE
    more = len(machines) > first + _PAGE
    return Answer(
        200, {"results": machines[first : first + _PAGE], "next": "more" if more else None}
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
