"""What do an execution, its task and its job say about the attempt?

Sources: https://cloud.google.com/run/docs/reference/rest/v2/Condition,
https://cloud.google.com/run/docs/troubleshooting and
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs.executions.tasks
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from google.cloud import run_v2

from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.refusals import wording
from push_dispatch.platforms.shared import milliseconds

__all__ = ["needs_tasks", "read", "without_execution"]

_MESSAGE_LENGTH = 500
_STATE = run_v2.Condition.State
_WHY = run_v2.Condition.ExecutionReason
_COMMON = run_v2.Condition.CommonReason


@dataclass(frozen=True, slots=True)
class _End:
    reason: str
    #: Whether a new attempt of the same request may succeed.
    retryable: bool = True


_NO_IMAGE = _End("image_pull_failed", retryable=False)
_NOT_PREPARED = _End("resource_initialization_failed", retryable=False)
_BROKEN = _End("infrastructure_failure")

_BY_COMMON = {
    _COMMON.CONTAINER_MISSING: _NO_IMAGE,
    _COMMON.CONTAINER_PERMISSION_DENIED: _NO_IMAGE,
    _COMMON.CONTAINER_IMAGE_UNAUTHORIZED: _NO_IMAGE,
    _COMMON.CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED: _BROKEN,
    _COMMON.ENCRYPTION_KEY_PERMISSION_DENIED: _NOT_PREPARED,
    _COMMON.ENCRYPTION_KEY_CHECK_FAILED: _BROKEN,
    _COMMON.SECRETS_ACCESS_CHECK_FAILED: _NOT_PREPARED,
    _COMMON.VPC_NETWORK_NOT_FOUND: _NOT_PREPARED,
    _COMMON.PROGRESS_DEADLINE_EXCEEDED: _End("start_timeout"),
    _COMMON.INTERNAL: _BROKEN,
}
_BY_WHY = {
    _WHY.CANCELLED: _End("stopped_on_request"),
    _WHY.CANCELLING: _End("stopped_on_request"),
    _WHY.DELETED: _End("stopped_on_request"),
    _WHY.JOB_STATUS_SERVICE_POLLING_ERROR: _BROKEN,
}
#: What Cloud Run says where no process has left a code, first match first; without names in it.
_BY_TEXT = (
    (r"memory limit of .*exceeded|out.of.memory|signal 9\b", _End("out_of_memory")),
    (r"configured timeout was reached|attempt timed out|timed out\.?$", _End("timed_out")),
    (r"\bimage\b.*\b(not found|unauthorized|denied)", _NO_IMAGE),
    (r"permission to read the image|failed to pull", _NO_IMAGE),
    (
        r"\bexec\b.*no such file or directory|not found in \$path|exec format error",
        _End("command_not_found", False),
    ),
    (r"\b(secret|vpc|subnet)", _NOT_PREPARED),
    (r"resources? (are )?(exhausted|unavailable)|no capacity|\bquota\b", _End("no_capacity")),
)
#: Codes of a process that did not end by itself: only then anything else says why.
_KILLED = {0, 137, 143}
_SIGKILL = 9


def needs_tasks(execution: run_v2.Execution) -> bool:
    """Whether its end can be told only by its tasks."""
    completed = _completed(execution.conditions)
    return completed is not None and completed.state is _STATE.CONDITION_FAILED


def read(
    execution: run_v2.Execution, tasks: Iterable[run_v2.Task], seen: Observation
) -> Observation:
    """`seen` with what is known of the attempt; `tasks` are asked for only if `needs_tasks`."""
    started, ended = milliseconds(execution.start_time), milliseconds(execution.completion_time)
    seen = replace(seen, started_at=started, ended_at=ended)
    completed = _completed(execution.conditions)
    if completed is None or completed.state not in {
        _STATE.CONDITION_SUCCEEDED,
        _STATE.CONDITION_FAILED,
    }:
        running = execution.running_count or execution.retried_count
        status = Status.RUNNING if running else Status.STARTING
        return replace(seen, status=status, started_at=started if running else None)
    if completed.state is _STATE.CONDITION_SUCCEEDED:
        return replace(seen, status=Status.ENDED, exit_code=0)
    if execution.cancelled_count and not execution.failed_count:
        return _ended(seen, _End("stopped_on_request"), completed.message)
    return _failed(seen, completed, list(tasks))


def without_execution(job: run_v2.Job, seen: Observation) -> Observation:
    """`seen` with what is known of an attempt whose job is there, but not (yet) its execution: it
    comes when the job is ready, or never, if that has failed."""
    condition = job.terminal_condition
    if job.delete_time:
        return replace(seen, status=Status.LOST, message="the job is being deleted")
    if condition.state is not _STATE.CONDITION_FAILED:
        return replace(seen, status=Status.STARTING, message=condition.message or None)
    end = _BY_COMMON.get(condition.reason) or _by_text(condition.message) or _BROKEN
    return _ended(seen, end, condition.message)


def _failed(
    seen: Observation, completed: run_v2.Condition, tasks: list[run_v2.Task]
) -> Observation:
    if end := _BY_WHY.get(completed.execution_reason):
        return _ended(seen, end, completed.message)
    failed = next((task for task in tasks if _broke(task.last_attempt_result)), None)
    result = failed.last_attempt_result if failed else run_v2.TaskAttemptResult()
    text = " · ".join(dict.fromkeys(filter(None, (result.status.message, completed.message))))
    end = _cause(completed, result, text) if result.exit_code in _KILLED else None
    if end is None and result.exit_code:
        message = text[-_MESSAGE_LENGTH:] or None
        return replace(seen, status=Status.ENDED, exit_code=result.exit_code, message=message)
    return replace(_ended(seen, end or _BROKEN, text), exit_code=result.exit_code or None)


def _broke(result: run_v2.TaskAttemptResult) -> bool:
    return bool(result.exit_code or result.status.code or _signal(result))


def _cause(completed: run_v2.Condition, result: run_v2.TaskAttemptResult, text: str) -> _End | None:
    if end := _BY_COMMON.get(completed.reason) or _by_text(text):
        return end
    return _End("out_of_memory") if _signal(result) == _SIGKILL else None


def _signal(result: run_v2.TaskAttemptResult) -> int:
    """0 also for versions of the client that do not know it yet."""
    return int(getattr(result, "term_signal", 0))


def _by_text(text: str) -> _End | None:
    told = wording(text)
    return next((end for words, end in _BY_TEXT if re.search(words, told, re.IGNORECASE)), None)


def _ended(seen: Observation, end: _End, text: str) -> Observation:
    return replace(
        seen,
        status=Status.ENDED,
        reason=end.reason,
        retryable=end.retryable,
        message=text[-_MESSAGE_LENGTH:] or None,
    )


def _completed(conditions: Iterable[run_v2.Condition]) -> run_v2.Condition | None:
    return next((c for c in conditions if c.type_ == "Completed"), None)
