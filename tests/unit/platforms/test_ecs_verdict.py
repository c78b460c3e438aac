# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Whose exit code and whose words decide how an ECS task has ended?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.handle import Handle, own_container
from push_dispatch.platforms.ecs.verdict import observation

ARN = "arn:aws:ecs:us-east-1:123456789012:task/c/0123456789abcdef0123456789abcdef"
MARK = {"name": "PUSH_DISPATCH_RUN_ID", "value": "etl.x"}
MAIN = {"name": "prefect", "environment": [MARK]}


def task(
    *containers: dict[str, Any],
    stop_code: str = "EssentialContainerExited",
    why: str = "Essential container in task exited",
    overrides: tuple[dict[str, Any], ...] = (MAIN,),
) -> dict[str, Any]:
    return {
        "taskArn": ARN,
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/pd-x:1",
        "startedBy": "pd/etl/0199c1f0000070008000000000000001/1",
        "lastStatus": "STOPPED",
        "stopCode": stop_code,
        "stoppedReason": why,
        "containers": list(containers),
        "overrides": {"containerOverrides": list(overrides)},
    }


def event(**detail: Any) -> dict[str, Any]:
    return {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}


def parsed(detail: dict[str, Any]) -> Observation:
    seen = Ecs({"AWS_REGION": "us-east-1"}).parse(event(**detail))
    assert seen is not None
    return seen


JOB = {"name": "prefect", "exitCode": 1}
SIDECAR = {"name": "datadog-agent", "exitCode": 0}


class TestWhichContainer:
    """A sidecar's end never speaks for the command's."""

    @pytest.mark.parametrize("containers", [(JOB, SIDECAR), (SIDECAR, JOB)])
    def test_an_event_knows_it_by_the_override_that_has_the_run(
        self, containers: tuple[dict[str, Any], ...]
    ) -> None:
        sidecar = {"name": "datadog-agent", "environment": [{"name": "DD_TAGS", "value": "t"}]}
        seen = parsed(task(*containers, overrides=(sidecar, MAIN)))
        assert (seen.status, seen.exit_code) == (Status.ENDED, 1)
        assert seen.handle == f"{ARN}#pd-x:1/prefect"

    def test_an_event_that_does_not_say_which_is_left_to_the_poll(self) -> None:
        ended = task(SIDECAR, JOB, overrides=())
        assert parsed(ended).status is Status.UNKNOWN
        handle = Handle.parse(f"{ARN}#pd-x:1/prefect")
        polled = observation(ended, "etl.x", 1, handle)
        assert (polled.status, polled.exit_code) == (Status.ENDED, 1)

    def test_a_handle_without_a_name_means_the_one_that_a_request_would_have_named(self) -> None:
        ended = task(SIDECAR, JOB, overrides=())
        seen = observation(ended, "etl.x", 1, Handle(ARN).on(ended))
        assert (seen.status, seen.exit_code) == (Status.ENDED, 1)

    def test_the_only_container_is_the_one(self) -> None:
        assert own_container(task(JOB, overrides=())) == JOB
        assert own_container(task(SIDECAR, JOB, overrides=())) is None
        assert own_container(task(SIDECAR, JOB, overrides=(MAIN, {**MAIN, "name": "x"}))) is None


def ended(
    code: int | None, reason: str = "", *, why: str = "", stop_code: str = "", other: str = ""
) -> Observation:
    main: dict[str, Any] = {"name": "prefect"}
    main |= {} if code is None else {"exitCode": code}
    main |= {"reason": reason} if reason else {}
    sidecar = {"name": "sidecar", "exitCode": 137, "reason": other}
    shown = task(sidecar, main, stop_code=stop_code, why=why)
    return observation(shown, "etl.x", 1, Handle.parse(f"{ARN}#pd-x:1/prefect"))


OOM = "OutOfMemoryError: Container killed due to memory usage"
FAILED = "TaskFailedToStart"

#: What is seen -> the reason, whether a new attempt may succeed.
ENDS: list[tuple[str, Observation, str | None, bool]] = [
    # The exit code decides, whatever words stand beside it.
    ("exit 3, a sidecar out of memory", ended(3, other=OOM), None, True),
    ("exit 0, a sidecar out of memory", ended(0, other=OOM), None, True),
    ("exit 0, own words", ended(0, OOM), None, True),
    ("exit 3, own words", ended(3, OOM), None, True),
    ("exit 3 of a task on spot", ended(3, why="Your Spot Task was interrupted.", stop_code="SpotInterruption"), None, True),
    ("exit 137 and a sidecar out of memory", ended(137, other=OOM), None, True),
    # It was killed: by whom?
    ("killed for its memory", ended(137, OOM), "out_of_memory", True),
    ("killed with spot", ended(143, stop_code="SpotInterruption"), "spot_interruption", True),
    ("killed with spot, no stop code", ended(143, why="Your Spot Task was interrupted."), "spot_interruption", True),
    ("killed with its host", ended(137, why="Host EC2 (instance i-0123) terminated."), "infrastructure_failure", True),
    ("killed by nobody known", ended(137), None, True),
    # It never ran.
    ("never a success", ended(0, stop_code=FAILED), "infrastructure_failure", True),
    ("a directory of EFS", ended(None, why="ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: mount.nfs4: mounting fs-0:/data failed, reason given by server: No such file or directory : code: 32", stop_code=FAILED), "resource_initialization_failed", False),
    ("a secret that is denied, account 500", ended(None, why="ResourceInitializationError: unable to pull secrets: AccessDeniedException: User: arn:aws:sts::123456789500:assumed-role/r is not authorized to perform: secretsmanager:GetSecretValue", stop_code=FAILED), "resource_initialization_failed", False),
    ("a secret that takes too long", ended(None, why="ResourceInitializationError: unable to pull secrets or registry auth: RequestCanceled: request context canceled caused by: context deadline exceeded", stop_code=FAILED), "resource_initialization_failed", True),
    ("a command that is not there", ended(None, 'CannotStartContainerError: runc create failed: exec: "etl": executable file not found in $PATH', stop_code=FAILED), "command_not_found", False),
    ("a script that is not there", ended(None, 'CannotStartContainerError: unable to start container process: exec: "/app/run": stat /app/run: no such file or directory', stop_code=FAILED), "command_not_found", False),
    ("the sidecar's image", ended(None, why="Task failed to start", stop_code=FAILED, other="CannotPullContainerError: manifest unknown"), "image_pull_failed", False),
    ("the disk of the host", ended(None, "CannotCreateContainerError: API error (500): devmapper: Thin Pool has 4350 free data blocks", stop_code=FAILED), "resource_initialization_failed", True),
    # Near misses: names that look like causes.
    ("an account 12345678503", ended(None, why="CannotPullContainerError: failed to resolve ref 123456789503.dkr.ecr.us-east-1.amazonaws.com/x:1: not found", stop_code=FAILED), "image_pull_failed", False),
    ("an image called timeout", ended(None, why="CannotPullContainerError: docker.io/acme/timeout-connection:429: not found", stop_code=FAILED), "image_pull_failed", False),
    ("a secret called throttle", ended(None, why="ResourceInitializationError: unable to pull secrets: ResourceNotFoundException: arn:aws:secretsmanager:us-east-1:1:secret:throttle-503", stop_code=FAILED), "resource_initialization_failed", False),
    ("a mount that denies", ended(None, "CannotCreateContainerError: mkdir /data/exec: permission denied", stop_code=FAILED), "resource_initialization_failed", False),
    ("a registry that answers 503", ended(None, why="CannotPullContainerError: failed to copy: httpReadSeeker: failed open: unexpected status code https://x/v2/blobs/sha256:1: 503 Service Unavailable", stop_code=FAILED), "image_pull_failed", True),
    ("a reason in the middle", ended(137, why="Scaling activity initiated by OutOfMemory"), None, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "reason", "again"), [r[1:] for r in ENDS], ids=[r[0] for r in ENDS]
)
def test_each_end_has_its_reason(seen: Observation, reason: str | None, again: bool) -> None:
    assert (seen.status, seen.reason, seen.retryable) == (Status.ENDED, reason, again)


def test_a_malformed_handle_costs_only_itself() -> None:
    [seen] = Ecs({}).observe([Watched("nonsense", "etl.x", 1)])
    assert seen.status is Status.LOST
