"""The fake of Azure Container Instances that tests steer: one TLS server for sign-in and ARM."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from tests.fakes.aci_service import (
    RESOURCE_GROUP,
    SUBSCRIPTION,
    AciService,
    Group,
    failure,
    now,
)
from tests.fakes.aci_sign_in import CLIENT, SECRET, TENANT
from tests.fakes.rest_server import Answer, Request
from tests.fakes.tls import loopback


class FakeAci(AciService):
    def __init__(self) -> None:
        super().__init__()
        self._slow: tuple[str, float] | None = None
        self._leave = threading.Event()

    def environ(self, **more: str) -> dict[str, str]:
        return {**environ_of(self.url), **more}

    # -- what the contract suite needs -----------------------------------------------------------

    def starts(self, name: str) -> int:
        return self.started.get(name, 0)

    def requests(self, name: str) -> Sequence[object]:
        puts = [request for request in self.received if request.method == "PUT"]
        return [request.json for request in puts if request.path.endswith(f"/{name}")]

    def environment(self, name: str) -> dict[str, str]:
        container = self.groups[name].body["properties"]["containers"][0]["properties"]
        return {
            entry["name"]: entry.get("value", entry.get("secureValue"))
            for entry in container["environmentVariables"]
        }

    def begin(self, name: str) -> None:
        with self.lock:
            group = self.groups[name]
            if group.current.get("state") != "Running":
                group.provisioning, group.state = "Succeeded", "Running"
                group.current = {"state": "Running", "startTime": now(), "detailStatus": ""}

    def finish(self, name: str, exit_code: int, detail: str = "") -> None:
        with self.lock:
            self.begin(name)
            group = self.groups[name]
            group.state = "Failed" if exit_code else "Succeeded"
            group.current = _ended(group, exit_code, detail)

    def write_log(self, name: str, line: str) -> None:
        self.groups[name].log.append(line)

    def leftovers(self) -> list[str]:
        return list(self.groups)

    def revoke(self) -> None:
        self.entra.secret = None

    def throttled(self) -> Answer:
        answer = failure(429, "TooManyRequests", "The number of requests exceeds the limit.")
        return Answer(429, answer.body, {"Retry-After": "17"})

    # -- what else can happen to a group ---------------------------------------------------------

    def restart(self, name: str, exit_code: int) -> None:
        """The process ends, and Azure starts it again in spite of the restart policy."""
        with self.lock:
            self.begin(name)
            group = self.groups[name]
            group.previous = _ended(group, exit_code, "Error")
            group.current = {"state": "Running", "startTime": now(), "detailStatus": ""}
            group.restarts += 1
            self.started[name] += 1

    def wait_for_image(self, name: str, message: str, since: str) -> None:
        """The image cannot be pulled, and Azure keeps trying."""
        with self.lock:
            group = self.groups[name]
            group.provisioning, group.state = "Creating", "Pending"
            group.current = {"state": "Waiting", "detailStatus": ""}
            for kind, event, text in (
                ("Normal", "Pulling", "pulling image"),
                ("Warning", "Failed", message),
                ("Normal", "BackOff", "Back-off pulling image"),
            ):
                group.events.append(
                    {"name": event, "type": kind, "message": text, "firstTimestamp": since}
                )

    def fail_to_start(self, name: str, message: str, kind: str, since: str) -> None:
        """The container cannot be started, which Azure tells as this kind of event."""
        with self.lock:
            group = self.groups[name]
            group.provisioning, group.state = "Creating", "Pending"
            group.current = {"state": "Waiting", "detailStatus": ""}
            event = {"name": "", "type": kind, "message": message, "firstTimestamp": since}
            group.events.append(event)

    def fail_creation(self, name: str, message: str) -> None:
        """The creation has failed; Azure keeps trying all the same."""
        with self.lock:
            group = self.groups[name]
            group.provisioning, group.state = "Failed", "Pending"
            group.events.append({"name": "Failed", "type": "Warning", "message": message})

    def preempt(self, name: str) -> None:
        with self.lock:
            self.finish(name, 137)
            event = {"name": "SpotPreemption", "type": "Normal", "message": "SpotPreemption"}
            self.groups[name].events.append(event)

    def reap(self) -> None:
        """Groups that are being deleted are gone."""
        kept = {name: g for name, g in self.groups.items() if g.provisioning != "Deleting"}
        self.groups = kept

    def slow_next(self, method: str, seconds: float) -> None:
        """The reply to the next such request, which is carried out, takes so long."""
        self._slow = method, seconds

    def handle(self, request: Request) -> Answer | None:
        answer = super().handle(request)
        if self._slow and self._slow[0] == request.method:
            seconds, self._slow = self._slow[1], None
            self._leave.wait(seconds)
        return answer

    def __exit__(self, *error: object) -> None:
        self._leave.set()
        super().__exit__(*error)


def environ_of(url: str) -> dict[str, str]:
    """What the adapter reads, with the client secret."""
    return {
        "PUSH_DISPATCH_AZURE_ENDPOINT": url,
        "PUSH_DISPATCH_AZURE_CA_FILE": loopback().ca_file,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_CLIENT_SECRET": SECRET,
    }


def variables() -> dict[str, Any]:
    """Job variables that the fake accepts."""
    return {
        "subscription_id": SUBSCRIPTION,
        "resource_group_name": RESOURCE_GROUP,
        "image": "busybox",
        "command": "echo 'hello world'",
    }


def _ended(group: Group, exit_code: int, detail: str) -> dict[str, Any]:
    return {
        "state": "Terminated",
        "exitCode": exit_code,
        "detailStatus": detail or ("Error" if exit_code else "Completed"),
        "startTime": group.current["startTime"],
        "finishTime": now(),
    }
