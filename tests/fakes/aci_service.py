"""Azure Resource Manager with container groups, and what is documented to go wrong with them."""

from __future__ import annotations

import copy
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.aci_sign_in import Entra
from tests.fakes.rest_server import Answer, Request, RestServer
from tests.fakes.tls import loopback

SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
RESOURCE_GROUP = "runs"
_SCOPE = r"/subscriptions/([^/]+)/resource[gG]roups/([^/]+)"
_GROUP = re.compile(
    _SCOPE + r"/providers/Microsoft\.ContainerInstance/containerGroups/([^/]+)"
    r"(?:/(stop|containers/([^/]+)/logs))?\Z"
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_CHANGING = {"Pending", "Creating", "Deleting", "Updating"}


@dataclass
class Group:
    """A container group as Azure keeps it, secure values included."""

    body: dict[str, Any]
    provisioning: str = "Pending"
    #: Of the group, once it has a node.
    state: str = ""
    current: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] = field(default_factory=dict)
    restarts: int = 0
    #: Which container runs the attempt; of the others it is only known that they have ended well.
    main: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        body = copy.deepcopy(self.body)
        properties = body["properties"]
        properties["provisioningState"] = self.provisioning
        # Until the group has a node nothing is known of it at run time.
        if self.state:
            properties["instanceView"] = {"events": [], "state": self.state}
        for container in properties["containers"]:
            for entry in container["properties"].get("environmentVariables", []):
                entry.pop("secureValue", None)
        view = {"restartCount": self.restarts, "events": self.events}
        if self.current:
            view["currentState"] = self.current
        if self.previous:
            view["previousState"] = self.previous
        if self.current or self.events:
            over = {"currentState": {"state": "Terminated", "exitCode": 0}}
            for index, container in enumerate(properties["containers"]):
                container["properties"]["instanceView"] = view if index == self.main else over
        for credential in properties.get("imageRegistryCredentials", []):
            credential.pop("password", None)
        return body


class AciService(RestServer):
    """Strict where the real one may be lax: fields that it would drop are errors here."""

    def __init__(self) -> None:
        super().__init__(tls=loopback().server)
        self.entra = Entra()
        self.location = "westeurope"
        #: Container groups in the region, ended ones included.
        self.quota = 100
        #: Images that cannot be reached when the group is created.
        self.inaccessible: set[str] = set()
        #: A deleted group stays, as `Deleting`, until `reap`.
        self.linger = False
        self.groups: dict[str, Group] = {}
        #: How often Azure started the process of a name.
        self.started: dict[str, int] = {}

    # -- the API ---------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer | None:
        with self.lock:
            answer = self.entra.answer(request, self.url)
        return answer or super().handle(request)

    def answer(self, request: Request) -> Answer:
        if not self.entra.accepts(request.headers):
            return failure(401, "ExpiredAuthenticationToken", "The access token is not valid.")
        if not request.query.get("api-version"):
            return failure(400, "MissingApiVersionParameter", "The api-version is required.")
        scope = re.match(_SCOPE, request.path)
        if scope is None or scope[1] != SUBSCRIPTION:
            return failure(404, "SubscriptionNotFound", "The subscription could not be found.")
        if scope[2] != RESOURCE_GROUP:
            message = f"Resource group '{scope[2]}' could not be found."
            return failure(404, "ResourceGroupNotFound", message)
        if scope.end() == len(request.path) and request.method == "GET":
            return Answer(200, {"id": request.path, "location": self.location})
        if match := _GROUP.match(request.path):
            return self._on_group(request, match[3], match[4], match[5])
        return failure(404, "InvalidResourceType", "The resource type could not be found.")

    def _on_group(
        self, request: Request, name: str, action: str | None, container: str | None
    ) -> Answer:
        if request.method == "PUT":
            return self._put(request, name)
        group = self.groups.get(name)
        if group is None:
            if request.method == "DELETE":
                return Answer(204)
            message = f"The Resource '{name}' under resource group was not found."
            return failure(404, "ResourceNotFound", message)
        match request.method, action:
            case "GET", None:
                return Answer(200, group.shown())
            case "DELETE", None:
                return self._delete(name, group)
            case "POST", "stop":
                return self._stop(name, group)
            case "GET", _:
                return self._logs(name, group, container)
        return failure(405, "MethodNotAllowed", request.method)

    def _put(self, request: Request, name: str) -> Answer:
        body = request.json
        if problems := list(_problems(name, body)):
            return failure(400, "InvalidRequestContent", "; ".join(problems))
        image = body["properties"]["containers"][0]["properties"]["image"]
        if image in self.inaccessible:
            message = f"The image '{image}' in container group '{name}' is not accessible."
            return failure(400, "InaccessibleImage", message)
        there = self.groups.get(name)
        if there is not None and there.provisioning in _CHANGING:
            return transitioning(name)
        if there is None and len(self.groups) >= self.quota:
            return quota_reached("ContainerGroups", self.quota)
        # The trap: what exists is started again, whether it runs or has ended.
        self.started[name] = self.started.get(name, 0) + 1
        self.groups[name] = Group({"id": request.path, "name": name, **body})
        headers = {"Azure-AsyncOperation": f"{self.url}{request.path}/operations/1"}
        return Answer(200 if there else 201, self.groups[name].shown(), headers)

    def _delete(self, name: str, group: Group) -> Answer:
        if group.provisioning == "Deleting":
            return transitioning(name)
        if self.linger:
            group.provisioning = "Deleting"
            return Answer(202, group.shown(), {"Location": f"{self.url}/operations/2"})
        del self.groups[name]
        return Answer(200, group.shown())

    def _stop(self, name: str, group: Group) -> Answer:
        if group.provisioning in _CHANGING:
            return transitioning(name)
        # The trap: of a process that had ended by itself, the exit code is gone.
        group.state = "Stopped"
        started = {k: v for k, v in group.current.items() if k == "startTime"}
        group.current = {"state": "Terminated", "detailStatus": "", "finishTime": now(), **started}
        return Answer(204)

    def _logs(self, name: str, group: Group, container: str | None) -> Answer:
        if group.body["properties"]["containers"][group.main]["name"] != container:
            return failure(404, "ContainerNotFound", f"no container {container}")
        if not group.current:
            return transitioning(name)
        ended = group.current.get("state") == "Terminated"
        lines = group.log[-1000:] if ended else group.log
        return Answer(200, {"content": "".join(f"{line}\n" for line in lines)})


def failure(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


def transitioning(name: str) -> Answer:
    message = f"The container group '{name}' is still transitioning, please retry later."
    return failure(409, "ContainerGroupTransitioning", message)


def quota_reached(what: str, limit: int) -> Answer:
    message = (
        "Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota"
        f" '{what}' exceeded in region 'westeurope'. Limit: '{limit}', Usage: '{limit}'"
        " Requested: '1'."
    )
    return failure(409, "ContainerGroupQuotaReached", message)


def now() -> str:
    # Seven digits, as Azure writes them.
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _problems(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    if not _NAME.match(name):
        yield f"container group name {name!r}"
    if unknown := set(body) - {"location", "tags", "identity", "properties", "zones"}:
        yield f"unknown members {sorted(unknown)}"
    if not body.get("location"):
        yield "LocationRequired: the location property is required"
    tags = body.get("tags") or {}
    if len(tags) > 50 or not all(isinstance(v, str) and len(v) <= 256 for v in tags.values()):
        yield "tags"
    properties = body["properties"]
    if properties.get("osType") not in {"Linux", "Windows"}:
        yield "osType"
    if properties.get("restartPolicy") not in {"Always", "OnFailure", "Never"}:
        yield "restartPolicy"
    for container in properties["containers"]:
        yield from _container_problems(container)


def _container_problems(container: Mapping[str, Any]) -> Iterator[str]:
    own = container["properties"]
    if not _NAME.match(container["name"]):
        yield f"container name {container['name']!r}"
    if not own.get("image"):
        yield "image"
    command = own.get("command", [])
    if not isinstance(command, list) or not all(isinstance(part, str) for part in command):
        yield "command: expected an array of strings"
    requests = own["resources"]["requests"]
    if not all(isinstance(requests.get(key), int | float) for key in ("cpu", "memoryInGB")):
        yield "resources.requests: cpu and memoryInGB are required"
    for entry in own.get("environmentVariables", []):
        values = [entry[key] for key in ("value", "secureValue") if key in entry]
        if len(values) != 1 or not isinstance(values[0], str):
            yield f"environment variable {entry['name']}: one of value and secureValue"
