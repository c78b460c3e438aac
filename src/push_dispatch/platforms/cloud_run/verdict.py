"""What do an execution, its task and its job say about the attempt?

Sources: https://cloud.google.com/run/docs/reference/rest/v2/Condition,
https://cloud.google.com/run/docs/troubleshooting and
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs.executions.tasks
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from google.cloud import run_v2

from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.ends import BROKEN, KILLED, MESSAGE_LENGTH, End, ended, ends, explained
from push_dispatch.platforms.shared import milliseconds

__all__ = ["needs_tasks", "read", "without_execution"]

_STATE = run_v2.Condition.State
#: By the name of a condition's reason, and by the words of its message.
_CONDITIONS, ENDS = ends(__name__, "conditions"), ends(__name__)
_STOPPED = End(Reason.STOPPED_ON_REQUEST)
#: Codes of a process that did not end by itself: only then anything else says why.
_KILLED = KILLED | {0}
_SIGKILL = 9


def needs_tasks(execution: run_v2.Execution) -> bool:
    """Whether its end can be told only by its tasks."""
    completed = _completed(execution.conditions)
    return completed is not None and completed.state is _STATE.CONDITION_FAILED


def read(
    execution: run_v2.Execution, tasks: Iterable[run_v2.Task], seen: Observation
) -> Observation:
    """`seen` with what is known of the attempt; `tasks` are asked for only if `needs_tasks`."""
    started = milliseconds(execution.start_time)
    seen = replace(seen, started_at=started, ended_at=milliseconds(execution.completion_time))
    completed = _completed(execution.conditions)
    if completed is None or completed.state not in {
        _STATE.CONDITION_SUCCEEDED,
        _STATE.CONDITION_FAILED,
    }:
        running = execution.running_count or execution.retried_count
        status = Status.RUNNING if running else Status.STARTING
        return replace(seen, status=status, started_at=started if running else None)
    if completed.state is _STATE.CONDITION_SUCCEEDED:
        return ended(seen, End(), exit_code=0)
    if execution.cancelled_count and not execution.failed_count:
        return ended(seen, _STOPPED, completed.message)
    return _failed(seen, completed, list(tasks))


def without_execution(job: run_v2.Job, seen: Observation) -> Observation:
    """`seen` with what is known of an attempt whose job is there, but not (yet) its execution: it
    comes when the job is ready, or never, if that has failed."""
    condition = job.terminal_condition
    if job.delete_time:
        return replace(seen, status=Status.LOST, message="the job is being deleted")
    if condition.state is not _STATE.CONDITION_FAILED:
        return replace(seen, status=Status.STARTING, message=condition.message or None)
    end = _named(condition.reason) or explained(ENDS, condition.message) or BROKEN
    return ended(seen, end, condition.message)


def _failed(
    seen: Observation, completed: run_v2.Condition, tasks: list[run_v2.Task]
) -> Observation:
    if end := _named(completed.execution_reason):
        return ended(seen, end, completed.message)
    failed = next((task for task in tasks if _broke(task.last_attempt_result)), None)
    result = failed.last_attempt_result if failed else run_v2.TaskAttemptResult()
    text = " · ".join(dict.fromkeys(filter(None, (result.status.message, completed.message))))
    end = _cause(completed, result, text) if result.exit_code in _KILLED else None
    return ended(
        seen,
        end or (End() if result.exit_code else BROKEN),
        text[-MESSAGE_LENGTH:],
        exit_code=result.exit_code or None,
    )


def _broke(result: run_v2.TaskAttemptResult) -> bool:
    return bool(result.exit_code or result.status.code or _signal(result))


def _cause(completed: run_v2.Condition, result: run_v2.TaskAttemptResult, text: str) -> End | None:
    if end := _named(completed.reason) or explained(ENDS, text):
        return end
    return End(Reason.OUT_OF_MEMORY) if _signal(result) == _SIGKILL else None


def _named(reason: object) -> End | None:
    """Return the end that a condition's reason names; a number is one of a later version."""
    name = getattr(reason, "name", "")
    return next((end for end in _CONDITIONS if end.matches(name)), None)


def _signal(result: run_v2.TaskAttemptResult) -> int:
    """0 also for versions of the client that do not know it yet."""
    return int(getattr(result, "term_signal", 0))


def _completed(conditions: Iterable[run_v2.Condition]) -> run_v2.Condition | None:
    return next((c for c in conditions if c.type_ == "Completed"), None)
