"""The fake of Amazon ECS that tests steer: one server for ECS, CloudWatch Logs and EC2, as
`AWS_ENDPOINT_URL`."""

from __future__ import annotations

import threading
from typing import Any

from tests.fakes.ecs_service import ACCOUNT, REGION, EcsService, Refused, Task, action_of
from tests.fakes.rest_server import Answer, Request


class FakeEcs(EcsService):
    def __init__(self) -> None:
        super().__init__()
        self._slow: float = 0
        self._leave = threading.Event()

    def environ(self, **more: str) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        return {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, **keys, **more}

    # -- what the contract suite needs -----------------------------------------------------------

    def starts(self, name: str) -> int:
        return sum(task.token == name for task in self.tasks.values())

    def requests(self, name: str) -> list[Any]:
        received = [request.json for request in self.received if action_of(request) == "RunTask"]
        return [body for body in received if body.get("clientToken") == name]

    def environment(self, name: str) -> dict[str, str]:
        task = self.task(name)
        container = task.definition["containerDefinitions"][0]
        values = {v["name"]: v["value"] for v in container.get("environment", [])}
        for override in task.shown["overrides"]["containerOverrides"]:
            if override["name"] == container["name"]:
                values |= {v["name"]: v["value"] for v in override.get("environment", [])}
        secrets = {s["name"]: f"value of {s['valueFrom']}" for s in container.get("secrets", [])}
        return values | secrets

    def begin(self, name: str) -> None:
        with self.lock:
            task = self.task(name)
            if task.shown["lastStatus"] == "PROVISIONING":
                self._move(task, "PENDING")
                self._move(task, "ACTIVATING")
                self._move(task, "RUNNING", startedAt=self.clock())
                for container in task.shown["containers"]:
                    container["lastStatus"] = "RUNNING"
                self._move(task, "RUNNING")

    def finish(self, name: str, exit_code: int) -> None:
        self.end(name, "EssentialContainerExited", exit_code=exit_code)

    def end(
        self,
        name: str,
        stop_code: str,
        reason: str = "",
        *,
        exit_code: int | None = None,
        why: str = "",
    ) -> None:
        """The task of that name stops; `why` is the reason of its container."""
        with self.lock:
            task = self.task(name)
            if stop_code == "EssentialContainerExited":
                self.begin(name)
                reason = reason or "Essential container in task exited"
            self._stop(task, stop_code, reason, exit_code, why)

    def leftovers(self) -> list[str]:
        return [arn for arn, task in self.tasks.items() if task.stopped is None]

    def write_log(self, name: str, line: str) -> None:
        task = self.task(name)
        container = task.definition["containerDefinitions"][0]
        options = container["logConfiguration"]["options"]
        task_id = task.shown["taskArn"].rpartition("/")[2]
        stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task_id}"
        self.streams.setdefault((options["awslogs-group"], stream), []).append(line)

    def events(self, name: str) -> list[dict[str, Any]]:
        arn = self.task(name).shown["taskArn"]
        return [event for event in self._events if event["resources"] == [arn]]

    def revoke(self) -> None:
        self.knows = False

    def throttled(self) -> Answer:
        return Refused("ThrottlingException", "Rate exceeded").answer

    # -- faults and facts ------------------------------------------------------------------------

    def events_as_delivered(self, name: str) -> list[dict[str, Any]]:
        """At least once and in no order: each twice, the newest first."""
        return [event for event in reversed(self.events(name)) for _ in range(2)]

    def fail_next(self, action: str, code: str, message: str = "", status: int = 400) -> None:
        answer = Refused(code, message or f"{code} of {action}", status).answer
        with self.lock:
            self._planned.append((lambda request: action_of(request) == action, answer))

    def no_task_next(self, reason: str, detail: str = "") -> None:
        """The next RunTask starts nothing and says so at HTTP 200."""
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/default/1"
        self._failures.append({"arn": arn, "reason": reason, "detail": detail})

    def slow_next(self, seconds: float) -> None:
        """The reply to the next request, which is carried out, takes so long."""
        self._slow = seconds

    def task(self, name: str) -> Task:
        return next(task for task in self.tasks.values() if task.token == name)

    def actions(self) -> list[str]:
        return [action_of(request) for request in self.received]

    # -- serving ---------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer | None:
        slow, self._slow = self._slow, 0
        answer = super().handle(request)
        self._leave.wait(slow)
        return answer

    def __exit__(self, *error: object) -> None:
        self._leave.set()
        super().__exit__(*error)
