"""Amazon ECS with its documented traps: request tokens with an expiry date, failures at HTTP 200,
lists that lag behind, stopped tasks that vanish; and the little of CloudWatch Logs and EC2 that
goes with it."""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from tests.fakes.rest_server import Answer, Request, RestServer

REGION, ACCOUNT = "eu-west-1", "123456789012"
HOUR = 3600.0

#: Fargate's sizes: MiB that go with CPU units (task definition parameters, developer guide).
_SIZES = {
    256: {512, 1024, 2048},
    512: {1024 * n for n in range(1, 5)},
    1024: {1024 * n for n in range(2, 9)},
    2048: {1024 * n for n in range(4, 17)},
    4096: {1024 * n for n in range(8, 31)},
    8192: {1024 * n for n in range(16, 61, 4)},
    16384: {1024 * n for n in range(32, 121, 8)},
}


class Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400, **more: Any) -> None:
        super().__init__(message)
        body = {"__type": code, "message": message, **more}
        self.answer = Answer(status, body, {"Content-Type": "application/x-amz-json-1.1"})


@dataclass
class Task:
    shown: dict[str, Any]
    token: str
    definition: Mapping[str, Any]
    created: float
    stopped: float | None = None
    stopping: bool = False
    tags: list[dict[str, str]] = field(default_factory=list)


class EcsService(RestServer):
    def __init__(self) -> None:
        super().__init__()
        self.clock: Callable[[], float] = time.time
        #: Seconds during which lists and descriptions do not show a new task.
        self.lag = 0.0
        self.clusters = {"default"}
        #: AWS knows the caller.
        self.knows = True
        #: Roles that the caller may assume; their access keys begin with ROLE.
        self.roles: set[str] = set()
        self.definitions: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.tasks: dict[str, Task] = {}
        #: Subnets by VPC; the first is the default one.
        self.vpcs = {"vpc-1": ["subnet-b", "subnet-a"], "vpc-2": ["subnet-c"]}
        self.streams: dict[tuple[str, str], list[str]] = {}
        self._tokens: dict[tuple[str, str], tuple[str, Task]] = {}
        self._failures: list[dict[str, str]] = []
        self._events: list[dict[str, Any]] = []

    def answer(self, request: Request) -> Answer:
        action = action_of(request)
        if not self.knows or "Credential=" not in request.headers.get("authorization", ""):
            text = "The security token included in the request is invalid."
            return Refused("UnrecognizedClientException", text).answer
        if "x-amz-target" not in request.headers:
            form = {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
            if action == "AssumeRole":
                return self._assume(form["RoleArn"])
            return Answer(200, self._ec2(action, form).encode(), {"Content-Type": "text/xml"})
        try:
            body = getattr(self, f"_{action}")(request.json)
        except Refused as error:
            return error.answer
        return Answer(200, body, {"Content-Type": "application/x-amz-json-1.1"})

    # -- tasks -----------------------------------------------------------------------------------

    def _RunTask(self, ask: dict[str, Any]) -> dict[str, Any]:
        cluster = self._cluster(ask)
        token, content = (
            ask.get("clientToken") or str(uuid.uuid4()),
            json.dumps(ask, sort_keys=True),
        )
        _check(len(token) <= 64, "InvalidParameterException", "clientToken is too long")
        if (known := self._tokens.get((cluster, token))) and self._is_valid(known[1]):
            return self._replayed(*known, content)
        definition = self._check_task(ask)
        if self._failures:
            return {"tasks": [], "failures": [self._failures.pop(0)]}
        task = self._start(ask, cluster, token, definition)
        self._tokens[cluster, token] = (content, task)
        return {"tasks": [task.shown], "failures": []}

    def _is_valid(self, task: Task) -> bool:
        """A token is good for 24 hours, or for the task's lifetime and an hour if that is less."""
        lifetime = (task.stopped or float("inf")) - task.created
        return self.clock() - task.created < min(24 * HOUR, lifetime + HOUR)

    def _replayed(self, content: str, task: Task, received: str) -> dict[str, Any]:
        arn = task.shown["taskArn"]
        if content != received:
            text = "The client token was already used with other parameters."
            raise Refused("ConflictException", text, resourceIds=[arn])
        if task.stopped is None:
            return {"tasks": [task.shown], "failures": []}
        few = {key: task.shown[key] for key in ("taskArn", "lastStatus", "desiredStatus")}
        return {"tasks": [few], "failures": []}

    def _check_task(self, ask: dict[str, Any]) -> dict[str, Any]:
        definition = self._definition(ask["taskDefinition"], "TaskDefinition not found.")
        invalid = "InvalidParameterException"
        _check(definition["status"] == "ACTIVE", "ClientException", "TaskDefinition is inactive")
        overrides = ask.get("overrides") or {}
        length = len(json.dumps(overrides, separators=(",", ":"), ensure_ascii=False))
        _check(length <= 8192, invalid, "Container Overrides length must be at most 8192")
        _check(len(ask.get("startedBy", "")) <= 128, invalid, "startedBy is too long")
        _check(len(ask.get("tags", [])) <= 50, invalid, "too many tags")
        both = "launchType" in ask and "capacityProviderStrategy" in ask
        _check(not both, invalid, "launchType and capacityProviderStrategy exclude each other")
        awsvpc = definition.get("networkMode") == "awsvpc"
        fits = awsvpc == ("networkConfiguration" in ask)
        _check(fits, invalid, "Network Configuration does not go with the networkMode")
        fargate = ask.get("launchType", "EC2") == "FARGATE" or "FARGATE" in str(
            ask.get("capacityProviderStrategy")
        )
        if fargate:
            size = {key: overrides.get(key, definition.get(key)) for key in ("cpu", "memory")}
            _check_size(size)
        self._check_containers(overrides, definition)
        return definition

    @staticmethod
    def _check_containers(overrides: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
        known = {c["name"]: c for c in definition["containerDefinitions"]}
        for override in overrides.get("containerOverrides", []):
            text = f"Override for container named {override['name']} is not in the TaskDefinition."
            _check(override["name"] in known, "InvalidParameterException", text)
            secrets = {s["name"] for s in known[override["name"]].get("secrets", [])}
            names = {v["name"] for v in override.get("environment", [])}
            _check(not secrets & names, "ClientException", "The secret name must be unique.")

    def _start(
        self, ask: dict[str, Any], cluster: str, token: str, definition: dict[str, Any]
    ) -> Task:
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{uuid.uuid4().hex}"
        containers = [
            {"name": c["name"], "lastStatus": "PENDING", "taskArn": arn, "image": c["image"]}
            for c in definition["containerDefinitions"]
        ]
        shown = {
            "taskArn": arn,
            "clusterArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}",
            "taskDefinitionArn": definition["taskDefinitionArn"],
            "lastStatus": "PROVISIONING",
            "desiredStatus": "RUNNING",
            "startedBy": ask.get("startedBy", ""),
            "group": ask.get("group", f"family:{definition['family']}"),
            "overrides": {"containerOverrides": [], **(ask.get("overrides") or {})},
            "containers": sorted(containers, key=lambda c: str(c["name"])),
            "createdAt": self.clock(),
            "version": 1,
        }
        task = Task(shown, token, definition, self.clock(), tags=ask.get("tags", []))
        self.tasks[arn] = task
        self._move(task, "PROVISIONING")
        return task

    def _DescribeTasks(self, ask: dict[str, Any]) -> dict[str, Any]:
        cluster = self._cluster(ask)
        _check(
            len(ask["tasks"]) <= 100, "InvalidParameterException", "Tasks cannot be longer than 100"
        )
        found, missing = [], []
        for arn in ask["tasks"]:
            task = self.tasks.get(arn)
            if task and self._is_visible(task) and f":task/{cluster}/" in arn:
                found.append(
                    {**task.shown, "tags": task.tags} if ask.get("include") else task.shown
                )
                if task.stopping:
                    self._stop(task, "UserInitiated", task.shown["stoppedReason"], 143, "")
            else:
                missing.append({"arn": arn, "reason": "MISSING"})
        return {"tasks": json.loads(json.dumps(found)), "failures": missing}

    def _ListTasks(self, ask: dict[str, Any]) -> dict[str, Any]:
        cluster = self._cluster(ask)
        filters = {key for key in ("family", "desiredStatus", "serviceName") if key in ask}
        alone = "startedBy" not in ask or not filters
        _check(alone, "InvalidParameterException", "startedBy must be the only filter")
        arns = [
            arn
            for arn, task in self.tasks.items()
            if f":task/{cluster}/" in arn
            and self._is_visible(task)
            and task.shown["desiredStatus"] == ask.get("desiredStatus", "RUNNING")
            and task.shown["startedBy"] == ask.get("startedBy", task.shown["startedBy"])
            and task.definition["family"] == ask.get("family", task.definition["family"])
        ]
        start, size = int(ask.get("nextToken", 0)), ask.get("maxResults", 100)
        more = {"nextToken": str(start + size)} if start + size < len(arns) else {}
        return {"taskArns": arns[start : start + size], **more}

    def _StopTask(self, ask: dict[str, Any]) -> dict[str, Any]:
        task = self.tasks.get(ask["task"])
        if task is None or not self._is_visible(task) or self._cluster(ask) not in ask["task"]:
            raise Refused("InvalidParameterException", "The referenced task was not found.")
        task.tags = []
        if task.stopped is None:
            task.stopping = True
            task.shown |= {"desiredStatus": "STOPPED", "stopCode": "UserInitiated"}
            task.shown["stoppedReason"] = ask.get("reason", "Task stopped by user")
            self._move(task, "DEACTIVATING")
        return {"task": task.shown}

    def _is_visible(self, task: Task) -> bool:
        gone = task.stopped is not None and self.clock() - task.stopped > HOUR
        return not gone and self.clock() - task.created >= self.lag

    def _stop(
        self, task: Task, stop_code: str, reason: str, exit_code: int | None, why: str
    ) -> None:
        if task.stopped is not None:
            return
        task.stopping = False
        task.shown |= {"desiredStatus": "STOPPED", "stopCode": stop_code, "stoppedReason": reason}
        main = task.definition["containerDefinitions"][0]["name"]
        for container in task.shown["containers"]:
            container["lastStatus"] = "STOPPED"
            if container["name"] == main:
                container.update({} if exit_code is None else {"exitCode": exit_code})
                container.update({"reason": why} if why else {})
            elif exit_code is not None:
                container["exitCode"] = 0
        self._move(task, "DEACTIVATING", executionStoppedAt=self.clock())
        self._move(task, "STOPPING")
        self._move(task, "DEPROVISIONING")
        task.stopped = self.clock()
        self._move(task, "STOPPED", stoppedAt=task.stopped)

    def _move(self, task: Task, status: str, **times: float) -> None:
        task.shown |= {"lastStatus": status, **times}
        task.shown["version"] += 1
        detail = json.loads(json.dumps(task.shown))
        for key, value in detail.items():
            if key.endswith("At"):
                detail[key] = datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")
        self._events.append(
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": "ECS Task State Change",
                "source": "aws.ecs",
                "account": ACCOUNT,
                "region": REGION,
                "resources": [task.shown["taskArn"]],
                "detail": detail,
            }
        )

    # -- task definitions ------------------------------------------------------------------------

    def _RegisterTaskDefinition(self, ask: dict[str, Any]) -> dict[str, Any]:
        fargate = "FARGATE" in ask.get("requiresCompatibilities", [])
        if fargate:
            _check(ask.get("networkMode") == "awsvpc", "ClientException", "Fargate needs awsvpc")
            _check_size(ask)
        for container in ask["containerDefinitions"]:
            _check(
                {"name", "image"} <= set(container), "ClientException", "Container.image is null"
            )
            sized = "memory" in ask or {"memory", "memoryReservation"} & set(container)
            _check(bool(sized), "ClientException", "Invalid setting for container: no memory")
            needs_role = fargate and ("logConfiguration" in container or "secrets" in container)
            role = not needs_role or "executionRoleArn" in ask
            _check(role, "ClientException", "Fargate requires an execution role ARN for this")
        revisions = self.definitions[ask["family"]]
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{ask['family']}:{len(revisions) + 1}"
        revisions.append({**ask, "taskDefinitionArn": arn, "status": "ACTIVE"})
        return {"taskDefinition": revisions[-1]}

    def _DescribeTaskDefinition(self, ask: dict[str, Any]) -> dict[str, Any]:
        text = "Unable to describe task definition."
        return {"taskDefinition": self._definition(ask["taskDefinition"], text)}

    def _definition(self, name: str, missing: str) -> dict[str, Any]:
        family, _, revision = name.rpartition("/")[2].partition(":")
        revisions = self.definitions.get(family, [])
        wanted = [
            made
            for number, made in enumerate(revisions, 1)
            if (str(number) == revision if revision else made["status"] == "ACTIVE")
        ]
        _check(bool(wanted), "ClientException", missing)
        return wanted[-1]

    # -- clusters --------------------------------------------------------------------------------

    def _CreateCluster(self, ask: dict[str, Any]) -> dict[str, Any]:
        name = ask.get("clusterName", "default")
        self.clusters.add(name)
        return {"cluster": _shown_cluster(name, "ACTIVE")}

    def _DeleteCluster(self, ask: dict[str, Any]) -> dict[str, Any]:
        name = self._cluster(ask)
        busy = [t for t in self.tasks.values() if t.stopped is None]
        held = any(task.shown["clusterArn"].endswith(f":cluster/{name}") for task in busy)
        _check(not held, "ClusterContainsTasksException", "The Cluster has tasks.")
        self.clusters.remove(name)
        return {"cluster": _shown_cluster(name, "INACTIVE")}

    def _cluster(self, ask: dict[str, Any]) -> str:
        name: str = ask.get("cluster", "default").rpartition("/")[2]
        _check(name in self.clusters, "ClusterNotFoundException", "Cluster not found.")
        return name

    # -- CloudWatch Logs and EC2 -----------------------------------------------------------------

    def _GetLogEvents(self, ask: dict[str, Any]) -> dict[str, Any]:
        lines = self.streams.get((ask["logGroupName"], ask["logStreamName"]))
        if lines is None:
            raise Refused("ResourceNotFoundException", "The specified log stream does not exist.")
        start = int(ask.get("nextToken", "f/0")[2:])
        page = lines[start : start + 10]
        return {
            "events": [{"message": line, "timestamp": n} for n, line in enumerate(page)],
            "nextForwardToken": f"f/{start + len(page)}",
            "nextBackwardToken": f"b/{start}",
        }

    def _assume(self, role: str) -> Answer:
        xml = {"Content-Type": "text/xml"}
        if role not in self.roles:
            text = f"User: x is not authorized to perform: sts:AssumeRole on resource: {role}"
            error = f"<Error><Code>AccessDenied</Code><Message>{text}</Message></Error>"
            return Answer(403, f"<ErrorResponse>{error}</ErrorResponse>".encode(), xml)
        expires = datetime.fromtimestamp(time.time() + HOUR, UTC).isoformat()
        keys = {
            "AccessKeyId": "ROLEKEY",
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": expires,
        }
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in keys.items())
        result = f"<AssumeRoleResult><Credentials>{inner}</Credentials></AssumeRoleResult>"
        space = "https://sts.amazonaws.com/doc/2011-06-15/"
        body = f'<AssumeRoleResponse xmlns="{space}">{result}</AssumeRoleResponse>'
        return Answer(200, body.encode(), xml)

    def _ec2(self, action: str, form: Mapping[str, str]) -> str:
        if action == "DescribeVpcs":
            items = "".join(f"<item><vpcId>{vpc}</vpcId></item>" for vpc in list(self.vpcs)[:1])
            inner = f"<vpcSet>{items}</vpcSet>"
        else:
            subnets: Sequence[str] = self.vpcs.get(form["Filter.1.Value.1"], [])
            items = "".join(f"<item><subnetId>{subnet}</subnetId></item>" for subnet in subnets)
            inner = f"<subnetSet>{items}</subnetSet>"
        space = "http://ec2.amazonaws.com/doc/2016-11-15/"
        return f'<{action}Response xmlns="{space}">{inner}</{action}Response>'


def _shown_cluster(name: str, status: str) -> dict[str, str]:
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{name}"
    return {"clusterArn": arn, "clusterName": name, "status": status}


def action_of(request: Request) -> str:
    target = request.headers.get("x-amz-target")
    if target:
        return target.rpartition(".")[2]
    return parse_qs(request.body.decode())["Action"][0]


def _check(holds: bool, code: str, message: str) -> None:
    if not holds:
        raise Refused(code, message)


def _check_size(received: Mapping[str, Any]) -> None:
    cpu, memory = received.get("cpu"), received.get("memory")
    known = bool(cpu and memory) and int(str(memory)) in _SIZES.get(int(str(cpu)), set())
    text = f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
    _check(known, "ClientException", text)
