# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Whose end is the attempt's, and what keeps a pod from starting?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.base import Observation, Status, Watched
from push_dispatch.platforms.kubernetes.request import CONTAINERS, START_SECONDS
from push_dispatch.platforms.kubernetes.verdict import Stuck, is_waiting, read

NOW = 1_795_687_800.0  # 10:10
EARLY, LATE = "2026-11-26T10:09:30Z", "2026-11-26T10:00:00Z"
WATCHED = Watched("ns/pd-1", "etl.x", 1)


def job(
    condition: str = "",
    *,
    reason: str = "",
    sent: str = "prefect-job",
    since: str = LATE,
    suspend: bool = False,
) -> dict[str, Any]:
    conditions = [{"type": condition, "status": "True", "reason": reason, "message": "m"}]
    notes = {START_SECONDS: "60"} | ({CONTAINERS: sent} if sent else {})
    return {
        "metadata": {"name": "pd-1", "creationTimestamp": since, "annotations": notes},
        "spec": {
            "suspend": suspend,
            "template": {"spec": {"containers": [{"name": "prefect-job"}]}},
        },
        "status": {"conditions": conditions if condition else []},
    }


def pod(
    phase: str,
    *states: tuple[str, dict[str, Any]],
    since: str = LATE,
    init: dict[str, Any] | None = None,
    scheduled: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    inits = [{"name": "init", "state": init}] if init else []
    return {
        "metadata": {"name": "p", "uid": "u", "creationTimestamp": since},
        "spec": {"restartPolicy": "Never", "containers": [{"name": name} for name, _ in states]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": name, "state": state} for name, state in states],
            "initContainerStatuses": inits,
            "conditions": [{"type": "PodScheduled", **scheduled}] if scheduled else [],
            **status,
        },
    }


def done(code: int, reason: str = "Completed", at: str = LATE) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": at}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def warning(message: str, at: str = LATE) -> dict[str, Any]:
    return {"type": "Warning", "message": message, "lastTimestamp": at}


def seen(*arguments: Any) -> Observation:
    what = read(WATCHED, *arguments)
    return what.observation if isinstance(what, Stuck) else what


FUSE, MESH = "gke-gcsfuse-sidecar", "istio-proxy"

#: What the Job and its pod show -> exit code, reason, whether a new attempt may succeed.
ENDS: list[tuple[str, dict[str, Any], dict[str, Any], int | None, str | None, bool]] = [
    ("a sidecar in front, 0", job("Failed"), pod("Failed", (FUSE, done(0)), ("prefect-job", done(7))), 7, None, True),
    ("a proxy in front, 0, memory", job("Failed"), pod("Failed", (MESH, done(0)), ("prefect-job", done(137, "OOMKilled"))), 137, "out_of_memory", True),
    ("a sidecar that failed", job("Complete"), pod("Succeeded", (MESH, done(1)), ("prefect-job", done(0))), 0, None, True),
    ("a Job of an earlier version", job("Failed", sent=""), pod("Failed", (FUSE, done(0)), ("prefect-job", done(7))), 7, None, True),
    ("a failed Job never completes", job("Failed"), pod("Failed", ("prefect-job", done(0)), (MESH, done(1))), 0, "infrastructure_failure", False),
    ("complete, with a word beside it", job("Complete"), pod("Succeeded", ("prefect-job", done(0, "OOMKilled"))), 0, None, True),
    ("the exit code before the eviction", job("Failed"), pod("Failed", ("prefect-job", done(3)), reason="Evicted"), 3, None, True),
    ("evicted", job("Failed"), pod("Failed", ("prefect-job", done(137)), reason="Evicted"), 137, "infrastructure_failure", True),
    ("the node is gone", job("Failed"), pod("Failed", ("prefect-job", done(137, "ContainerStatusUnknown"))), 137, "infrastructure_failure", True),
    ("killed by somebody", job("Failed"), pod("Failed", ("prefect-job", done(137, "Error"))), 137, None, True),
    ("its deadline", job("Failed", reason="DeadlineExceeded"), pod("Failed", ("prefect-job", done(143))), None, "timed_out", True),
    ("an init container failed", job("Failed"), pod("Failed", init=done(3, "Error")), 3, None, True),
]  # fmt: skip


@pytest.mark.parametrize(("job_", "pod_", "code", "reason", "again"), [r[1:] for r in ENDS], ids=[r[0] for r in ENDS])  # fmt: skip
def test_each_end_has_its_reason(
    job_: dict[str, Any], pod_: dict[str, Any], code: int | None, reason: str | None, again: bool
) -> None:
    end = seen(job_, [pod_], NOW)
    assert (end.status, end.exit_code, end.reason, end.retryable) == (
        Status.ENDED,
        code,
        reason,
        again,
    )


class TestSidecarsThatStay:
    """A pod runs as long as one of its containers does."""

    def test_what_was_put_beside_the_job_does_not_hold_the_slot(self) -> None:
        stays = pod("Running", (MESH, {"running": {}}), ("prefect-job", done(7)))
        end = read(WATCHED, job(), [stays], NOW)
        assert isinstance(end, Stuck), "the Job has to be deleted"
        assert (end.observation.status, end.observation.exit_code) == (Status.ENDED, 7)

    def test_it_has_a_minute_to_end_by_itself(self) -> None:
        stays = pod("Running", (MESH, {"running": {}}), ("prefect-job", done(7, at=EARLY)))
        running = seen(job(), [stays], NOW)
        assert running.status is Status.RUNNING
        assert "prefect-job has exited with 7" in (running.message or "")

    def test_what_the_manifest_has_beside_it_may_go_on(self) -> None:
        stays = pod("Running", ("prefect-job", done(0)), ("proxy", {"running": {}}))
        running = seen(job(sent="prefect-job,proxy"), [stays], NOW)
        assert running.status is Status.RUNNING
        assert "goes on" in (running.message or "")


SCHEDULED = {"status": "True", "lastTransitionTime": EARLY}

#: What waits, the warnings -> reason, whether again, a word of the message; None if it goes on.
WAITS: list[tuple[str, dict[str, Any] | None, list[dict[str, Any]], str | None, bool, str]] = [
    ("no service account", None, [warning('Error creating: pods "pd-1-" is forbidden: error looking up service account ns/sa: serviceaccount "sa" not found')], "resource_initialization_failed", False, "serviceaccount"),
    ("PodSecurity", None, [warning('Error creating: pods "pd-1-" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true')], "resource_initialization_failed", False, "PodSecurity"),
    ("quota of pods", None, [warning('Error creating: pods "pd-1-" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5')], "no_capacity", True, "exceeded quota"),
    ("a webhook that is down", None, [warning('Error creating: Internal error occurred: failed calling webhook "x": no endpoints available')], "resource_initialization_failed", True, "webhook"),
    ("nobody knows", None, [], "start_timeout", True, "got no pod"),
    ("the newest warning counts", None, [warning("exceeded quota", at=LATE), warning('serviceaccount "sa" not found', at=EARLY)], "resource_initialization_failed", False, "sa"),
    ("a missing ConfigMap", pod("Pending", ("prefect-job", waits("ContainerCreating"))), [warning('MountVolume.SetUp failed for volume "cfg" : configmap "etl" not found')], "resource_initialization_failed", False, "configmap"),
    ("a volume that is busy", pod("Pending", ("prefect-job", waits("ContainerCreating"))), [warning("Multi-Attach error for volume pvc-1: Volume is already exclusively attached to one node")], "resource_initialization_failed", True, "Multi-Attach"),
    ("an image that takes long", pod("Pending", ("prefect-job", waits("ContainerCreating"))), [{"type": "Normal", "message": "Pulling image"}], None, True, "ContainerCreating"),
    ("an init container that loops", pod("Pending", init=waits("CrashLoopBackOff", "back-off 5m0s restarting failed container")), [], "resource_initialization_failed", False, "back-off"),
    ("a signature", pod("Pending", ("prefect-job", waits("SignatureValidationFailed", "no signature"))), [], "image_pull_failed", False, "signature"),
    ("a command that is not there", pod("Pending", ("prefect-job", waits("RunContainerError", 'exec: "nope": executable file not found in $PATH'))), [], "command_not_found", False, "nope"),
    ("a hook", pod("Pending", ("prefect-job", waits("PreCreateHookError", "x"))), [], "resource_initialization_failed", False, "x"),
    ("no node", pod("Pending", ("prefect-job", {}), scheduled={"status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}), [], None, True, "0/3 nodes"),
    ("a gate", pod("Pending", ("prefect-job", {}), scheduled={"status": "False", "reason": "SchedulingGated", "message": "non-empty scheduling gates"}), [], None, True, "SchedulingGated"),
    ("its node came late", pod("Pending", ("prefect-job", waits("ImagePullBackOff", "Back-off")), scheduled=SCHEDULED), [], None, True, "Back-off"),
]  # fmt: skip


@pytest.mark.parametrize(("pod_", "events", "reason", "again", "word"), [r[1:] for r in WAITS], ids=[r[0] for r in WAITS])  # fmt: skip
def test_each_wait_has_its_reason_once_the_patience_is_over(
    pod_: dict[str, Any] | None,
    events: list[dict[str, Any]],
    reason: str | None,
    again: bool,
    word: str,
) -> None:
    what = read(WATCHED, job(), [pod_] if pod_ else [], NOW, events)
    assert isinstance(what, Stuck) == (reason is not None)
    reported = seen(job(), [pod_] if pod_ else [], NOW, events)
    assert (reported.status, reported.reason) == (
        Status.ENDED if reason else Status.STARTING,
        reason,
    )
    assert reported.retryable == again
    assert word in (reported.message or "")
    assert reason is None or reason in REASONS


@pytest.mark.parametrize("row", WAITS[:5], ids=[r[0] for r in WAITS[:5]])
def test_until_then_it_waits(row: tuple[Any, ...]) -> None:
    assert seen(job(since=EARLY), [], NOW, row[2]).status is Status.STARTING
    assert not is_waiting(job(since=EARLY), [], NOW)


def test_a_suspended_job_says_so_and_waits() -> None:
    waiting = seen(job(suspend=True), [], NOW)
    assert waiting.status is Status.STARTING
    assert "suspended" in (waiting.message or "")
    assert not is_waiting(job(suspend=True), [], NOW)


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], True),
        ([pod("Pending", ("prefect-job", waits("ContainerCreating")))], True),
        ([pod("Pending", ("prefect-job", waits("ImagePullBackOff")))], False),
        ([pod("Pending", scheduled={"status": "False", "reason": "Unschedulable"})], False),
        ([pod("Running", ("prefect-job", {"running": {}}))], False),
    ],
)
def test_events_are_read_only_where_nothing_else_tells(
    pods: list[dict[str, Any]], expected: bool
) -> None:
    assert is_waiting(job(), pods, NOW) == expected
    assert not is_waiting(job("Failed"), pods, NOW)
    assert not is_waiting(None, pods, NOW)
