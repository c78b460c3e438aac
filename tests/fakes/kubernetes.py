"""A Kubernetes API server with Jobs and pods, and what is documented to go wrong with them."""

from __future__ import annotations

import copy
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.rest_server import Answer, Request, RestServer

_JOBS = re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs(?:/([^/]+))?\Z")
_SECRETS = re.compile(r"/api/v1/namespaces/([^/]+)/secrets\Z")
_PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)(/log)?)?\Z")
_EVENTS = re.compile(r"/api/v1/namespaces/([^/]+)/events\Z")
_DNS = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_POD_FIELDS = {
    "activeDeadlineSeconds",
    "containers",
    "initContainers",
    "nodeSelector",
    "restartPolicy",
    "serviceAccountName",
    "tolerations",
    "volumes",
}


class FakeKubernetes(RestServer):
    """Strict where the real one may be lax: fields that it would drop are errors here."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        allows: Callable[[Request], bool] = lambda _: True,
    ) -> None:
        super().__init__(tls=tls)
        self.allows = allows
        self.namespaces = {"default", "batch"}
        #: At most so many Jobs: a ResourceQuota of count/jobs.batch.
        self.quota: int | None = None
        #: What one page of a list holds at most, whatever the client asks for.
        self.page = 500
        #: A deleted Job's pods keep running until `reap`, as in their grace period.
        self.linger = False
        #: What a webhook puts into each pod, in front of its containers: a mesh, a mounted bucket.
        self.sidecar = ""
        self.events: list[dict[str, Any]] = []
        #: The next page of a list has expired (410 Gone).
        self.expire_pages = False
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self._logs: dict[str, str] = {}
        self._version = 100
        self._directory = tempfile.TemporaryDirectory()

    def __exit__(self, *caught: object) -> None:
        super().__exit__(*caught)
        self._directory.cleanup()

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig file with the context `fake` for this server."""
        path = Path(self._directory.name) / "config"
        path.write_text(kubeconfig(self.url, {"token": "let-me-in"}))
        return str(path)

    # -- what the contract suite asks for --------------------------------------------------------

    def starts(self, name: str) -> int:
        return sum(job["metadata"]["name"] == name for job in self.created)

    def requests(self, name: str) -> Sequence[object]:
        posts = [r.json for r in self.received if r.method == "POST" and _JOBS.match(r.path)]
        return [body for body in posts if body["metadata"].get("name") == name]

    def environment(self, name: str) -> Mapping[str, str]:
        container = self._own(name)
        return {entry["name"]: self._value(entry) for entry in container["env"]}

    def _value(self, entry: Mapping[str, Any]) -> str:
        if "valueFrom" not in entry:
            return str(entry["value"])
        wanted = entry["valueFrom"]["secretKeyRef"]
        [data] = [s["stringData"] for (_, n), s in self.secrets.items() if n == wanted["name"]]
        return str(data[wanted["key"]])

    def begin(self, name: str) -> None:
        pod = self._pod(name)
        if pod["status"]["phase"] == "Pending":
            self._pod_is(name, "Running", {"running": {"startedAt": _now()}})
            self._touch(self._job(name)["metadata"])

    def finish(self, name: str, exit_code: int, **terminated: Any) -> None:
        end = {"exitCode": exit_code, "startedAt": _now(), "finishedAt": _now(), **terminated}
        end.setdefault("reason", "Error" if exit_code else "Completed")
        self._pod_is(name, "Failed" if exit_code else "Succeeded", {"terminated": end})
        if exit_code:
            self.condition(name, "Failed", "BackoffLimitExceeded", "Job has reached its limit")
        else:
            self.condition(name, "Complete")

    def write_log(self, name: str, line: str) -> None:
        self._logs[name] = self._logs.get(name, "") + line + "\n"

    def leftovers(self) -> list[str]:
        return [name for _, name in (*self.jobs, *self.secrets)]

    def revoke(self) -> None:
        self.allows = lambda _: False

    def throttled(self) -> Answer:
        status = _failure(429, "TooManyRequests", "the server has received too many requests")
        return Answer(429, status.body, {"Retry-After": "3"})

    # -- what else can happen to a pod -----------------------------------------------------------

    def wait_for(self, name: str, reason: str, message: str = "") -> None:
        self._pod_is(name, "Pending", {"waiting": {"reason": reason, "message": message}})

    def kill_for_memory(self, name: str) -> None:
        self.begin(name)
        self.finish(name, 137, reason="OOMKilled")

    def evict(self, name: str, message: str = "The node was low on resource: memory.") -> None:
        pod = self._pod(name)
        pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": message}
        self.condition(name, "Failed", "BackoffLimitExceeded", "Job has reached its limit")

    def disrupt(self, name: str, reason: str) -> None:
        pod = self._pod(name)
        pod["status"] = {
            "phase": "Failed",
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason}],
        }
        self.condition(name, "Failed", "BackoffLimitExceeded", "Job has reached its limit")

    def unschedulable(self, name: str, message: str) -> None:
        self._pod(name)["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
            }
        ]

    def condition(self, name: str, kind: str, reason: str = "", message: str = "") -> None:
        job = self._job(name)
        job["status"]["conditions"] = [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": _now(),
            }
        ]
        self._touch(job["metadata"])

    def lose_pod(self, name: str) -> None:
        """The pod is gone without a trace."""
        self.pods = {key: p for key, p in self.pods.items() if _owner(p) != name}

    def reap(self, name: str) -> None:
        """The grace period of a deleted Job's pod is over."""
        self.lose_pod(name)

    # -- the API ---------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        if not self.allows(request):
            return _failure(401, "Unauthorized", "Unauthorized")
        if request.path == "/apis/batch/v1":
            return self._discover(request)
        if match := _JOBS.match(request.path):
            return self._on_jobs(request, *match.groups())
        if match := _SECRETS.match(request.path):
            return self._create_secret(request, match[1])
        if _EVENTS.match(request.path):
            uid = request.query["fieldSelector"].removeprefix("involvedObject.uid=")
            found = [e for e in self.events if e["involvedObject"]["uid"] == uid]
            return Answer(200, {"kind": "EventList", "metadata": {}, "items": found})
        if match := _PODS.match(request.path):
            return self._on_pods(request, *match.groups())
        return _failure(404, "NotFound", "the server could not find the requested resource")

    @staticmethod
    def _discover(request: Request) -> Answer:
        """For whoever is known: a request that does not say who is asking, is anonymous."""
        if "authorization" not in request.headers:
            user = 'User "system:anonymous" cannot get path "/apis/batch/v1"'
            return _failure(403, "Forbidden", f"forbidden: {user}")
        return Answer(200, {"kind": "APIResourceList", "groupVersion": "batch/v1"})

    def _on_jobs(self, request: Request, namespace: str, name: str | None) -> Answer:
        if name is None and request.method == "POST":
            return self._create(request, namespace)
        if name is None:
            found = [job for (ns, _), job in self.jobs.items() if ns == namespace]
            return self._list(request, found)
        job = self.jobs.get((namespace, name))
        if job is None:
            return _failure(404, "NotFound", f'jobs.batch "{name}" not found')
        if request.method == "DELETE":
            return self._delete(request, namespace, job)
        return Answer(200, job)

    def _create(self, request: Request, namespace: str) -> Answer:
        job = request.json
        name = job["metadata"].get("name", "")
        if problems := list(_problems(job)):
            message = f'Job.batch "{name}" is invalid: {"; ".join(problems)}'
            return _failure(422, "Invalid", message)
        if namespace not in self.namespaces:
            return _failure(404, "NotFound", f'namespaces "{namespace}" not found')
        if job["metadata"].get("namespace", namespace) != namespace:
            return _failure(400, "BadRequest", "the namespace of the object does not match")
        if (namespace, name) in self.jobs:
            return _failure(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        if self.quota is not None and len(self.jobs) >= self.quota:
            used = (
                f"used: count/jobs.batch={len(self.jobs)}, limited: count/jobs.batch={self.quota}"
            )
            message = f'jobs.batch "{name}" is forbidden: exceeded quota: jobs, {used}'
            return _failure(403, "Forbidden", message)
        job["metadata"] |= {"uid": f"uid-{len(self.created)}", "creationTimestamp": _now()}
        job["status"] = {}
        self._touch(job["metadata"])
        self.jobs[namespace, name] = job
        self.created.append(copy.deepcopy(job))
        self._start_pod(namespace, job)
        return Answer(201, job)

    def _create_secret(self, request: Request, namespace: str) -> Answer:
        secret = request.json
        name = secret["metadata"]["name"]
        if (namespace, name) in self.secrets:
            return _failure(409, "AlreadyExists", f'secrets "{name}" already exists')
        self.secrets[namespace, name] = secret
        return Answer(201, secret)

    def _start_pod(self, namespace: str, job: dict[str, Any]) -> None:
        template = copy.deepcopy(job["spec"]["template"])
        name = f"{job['metadata']['name']}-x7k2p"
        template["metadata"] |= {
            "name": name,
            "uid": f"uid-of-{name}",
            "creationTimestamp": _now(),
            "ownerReferences": [{"kind": "Job", "name": job["metadata"]["name"]}],
        }
        if self.sidecar:
            template["spec"]["containers"].insert(0, {"name": self.sidecar, "image": "s"})
        template["status"] = {"phase": "Pending"}
        self.pods[namespace, name] = template

    def _delete(self, request: Request, namespace: str, job: dict[str, Any]) -> Answer:
        options = request.json if request.body else {}
        for key, value in (options.get("preconditions") or {}).items():
            if job["metadata"][key] != value:
                message = f"the {key} in the precondition ({value}) does not match"
                return _failure(409, "Conflict", message)
        name = job["metadata"]["name"]
        del self.jobs[namespace, name]
        owned = [key for key, secret in self.secrets.items() if _owner(secret) == name]
        for key in owned:
            del self.secrets[key]
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy")
        if policy in {"Background", "Foreground"} and not self.linger:
            self.lose_pod(name)
        # Without a policy the pods of a batch/v1 Job may be orphaned, and run on.
        return Answer(200, {"kind": "Status", "status": "Success"})

    def _on_pods(
        self, request: Request, namespace: str, name: str | None, log: str | None
    ) -> Answer:
        if name is None:
            found = [pod for (ns, _), pod in self.pods.items() if ns == namespace]
            return self._list(request, found)
        pod = self.pods.get((namespace, name))
        if pod is None or not log:
            return _failure(404, "NotFound", f'pods "{name}" not found')
        if pod["status"]["phase"] == "Pending":
            message = f'container "job" in pod "{name}" is waiting to start: ContainerCreating'
            return _failure(400, "BadRequest", message)
        own = self._own(_owner(pod))["name"] == request.query.get("container")
        text = self._logs.get(_owner(pod), "").encode() if own else b""
        return Answer(200, text, {"Content-Type": "text/plain"})

    def _list(self, request: Request, items: list[dict[str, Any]]) -> Answer:
        chosen = [i for i in items if _selects(request.query.get("labelSelector", ""), i)]
        begin = int(request.query.get("continue", "0"))
        if begin and self.expire_pages:
            return _failure(410, "Expired", "The provided continue parameter is too old")
        size = min(self.page, int(request.query.get("limit", self.page)))
        more = str(begin + size) if begin + size < len(chosen) else ""
        page = chosen[begin : begin + size]
        return Answer(200, {"kind": "List", "metadata": {"continue": more}, "items": page})

    # -- details ---------------------------------------------------------------------------------

    def _job(self, name: str) -> dict[str, Any]:
        return next(job for (_, known), job in self.jobs.items() if known == name)

    def _own(self, name: str) -> dict[str, Any]:
        """The container of the command, as the Job was sent."""
        [job] = [job for job in self.created if job["metadata"]["name"] == name]
        containers: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"]
        return containers[0]

    def warn(self, uid: str, message: str) -> None:
        self.events.append(
            {
                "type": "Warning",
                "involvedObject": {"uid": uid},
                "message": message,
                "lastTimestamp": _now(),
            }
        )

    def _pod(self, name: str) -> dict[str, Any]:
        return next(pod for pod in self.pods.values() if _owner(pod) == name)

    def _pod_is(self, name: str, phase: str, state: Mapping[str, Any]) -> None:
        pod = self._pod(name)
        container = self._own(name)["name"]
        beside = {"terminated": {"exitCode": 0, "finishedAt": _now()}} if self.sidecar else {}
        statuses = [
            {"name": self.sidecar or "sidecar", "state": beside},
            {"name": container, "state": state},
        ]
        pod["status"] = {"phase": phase, "containerStatuses": statuses}

    def _touch(self, metadata: dict[str, Any]) -> None:
        self._version += 1
        metadata["resourceVersion"] = str(self._version)


def kubeconfig(
    server: str, user: Mapping[str, Any], cluster: Mapping[str, Any] | None = None
) -> str:
    """The text of a kubeconfig whose current context is `fake`."""
    import yaml

    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
            "users": [{"name": "u", "user": dict(user)}],
        }
    )


def _problems(job: Mapping[str, Any]) -> Sequence[str]:
    found = []
    metadata, spec = job["metadata"], job["spec"]
    pod = spec["template"]["spec"]
    if not _DNS.match(metadata.get("name", "")):
        found.append("metadata.name: Invalid value")
    for labels in (metadata.get("labels"), spec["template"]["metadata"].get("labels")):
        for key, value in (labels or {}).items():
            if not _LABEL.match(value) or not _LABEL.match(key.rpartition("/")[2]):
                found.append(f"metadata.labels: Invalid value: {key}={value!r}")
    found += [f"unknown field spec.template.spec.{key}" for key in set(pod) - _POD_FIELDS]
    if pod.get("restartPolicy") not in {"Never", "OnFailure"}:
        found.append("spec.template.spec.restartPolicy: Required value")
    for container in pod["containers"]:
        if not container.get("image"):
            found.append("containers[0].image: Required value")
        for entry in container.get("env", []):
            if not isinstance(entry.get("value", ""), str):
                found.append(f"env {entry['name']}: expected string")
        if not isinstance(container.get("args", []), list):
            found.append("args: expected list")
    return found


def _selects(selector: str, item: Mapping[str, Any]) -> bool:
    if not selector:
        return True
    labels = item["metadata"].get("labels") or {}
    if match := re.fullmatch(r"(\S+) in \((.*)\)", selector):
        return labels.get(match[1]) in match[2].split(",")
    key, _, value = selector.partition("=")
    return bool(labels.get(key) == value)


def _owner(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["ownerReferences"][0]["name"])


def _failure(code: int, reason: str, message: str) -> Answer:
    return Answer(
        code,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        },
    )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
