"""Cloud Run's jobs, executions and tasks, and what is documented to go wrong with them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.cloud import run_v2
from google.longrunning.operations_pb2 import Operation  # type: ignore[import-untyped]
from google.protobuf.any_pb2 import Any as AnyMessage  # type: ignore[import-untyped]
from grpc import StatusCode

PROJECT = "acme-runs"
LOCATION = "us-central1"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
#: Enumerations of proto-plus, whose members are integers to a type checker.
_STATE: Any = run_v2.Condition.State
_NO_REASON: Any = run_v2.Condition.ExecutionReason.EXECUTION_REASON_UNDEFINED
_JOB_ID = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}\Z")
_RESERVED = re.compile(r"(run|cloud)\.googleapis\.com/|(serving|autoscaling)\.knative\.dev/")


class Refusal(Exception):
    """The service says no. `details` are sent along, as messages."""

    def __init__(self, code: StatusCode, message: str, *details: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


@dataclass
class Held:
    """A job, its execution and what became of its task."""

    job: run_v2.Job
    execution: run_v2.Execution | None = None
    task: run_v2.Task = field(default_factory=run_v2.Task)


class CloudRunService:
    """Strict where the real one may be lax. Every operation stays unfinished for ever: whoever
    waits for one, waits for ever."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        #: How often the process of a name was started, by job id.
        self.started: dict[str, int] = {}
        #: Jobs that a region holds, ended ones included.
        self.quota = 1000
        #: Executions come only when `admit` is called: the job is not ready yet.
        self.slow_start = False
        #: The most that a page of a list has.
        self.page = 1000
        self.created: list[run_v2.CreateJobRequest] = []

    # -- jobs ------------------------------------------------------------------------------------

    def create_job(self, request: run_v2.CreateJobRequest) -> Operation:
        self.created.append(request)
        _check_parent(request.parent)
        name = f"{request.parent}/jobs/{request.job_id}"
        if problems := list(_problems(request)):
            raise Refusal(StatusCode.INVALID_ARGUMENT, "; ".join(problems))
        if name in self.held:
            message = f"Resource '{request.job_id}' already exists."
            raise Refusal(StatusCode.ALREADY_EXISTS, message)
        if len(self.held) >= self.quota:
            message = f"The project has reached the maximum number of jobs ({self.quota})."
            raise Refusal(StatusCode.RESOURCE_EXHAUSTED, message)
        job = run_v2.Job(request.job)
        job.name, job.create_time = name, now()
        job.terminal_condition = run_v2.Condition(
            type_="Ready", state=_STATE.CONDITION_RECONCILING, message="The job is prepared."
        )
        self.held[name] = Held(job)
        if not self.slow_start:
            self.execute(name)
        return _operation(job)

    def execute(self, name: str) -> None:
        """The job is ready, and its token starts the execution."""
        held = self.held[name]
        held.job.terminal_condition.state = _STATE.CONDITION_SUCCEEDED
        token, job_id = held.job.start_execution_token, name.rpartition("/")[2]
        if not token or held.execution is not None:
            return
        self.started[job_id] = self.started.get(job_id, 0) + 1
        held.execution = run_v2.Execution(
            name=f"{name}/executions/{job_id}-{token}",
            job=job_id,
            labels=dict(held.job.template.labels),
            annotations=dict(held.job.template.annotations),
            create_time=now(),
            task_count=held.job.template.task_count or 1,
            template=held.job.template.template,
            conditions=[run_v2.Condition(type_="Completed", state=_STATE.CONDITION_RECONCILING)],
        )
        held.task = run_v2.Task(name=f"{held.execution.name}/tasks/{job_id}-task0")

    def get_job(self, request: run_v2.GetJobRequest) -> run_v2.Job:
        return self._held(request.name).job

    def delete_job(self, request: run_v2.DeleteJobRequest) -> Operation:
        held = self._held(request.name)
        del self.held[request.name]
        return _operation(held.job)

    # -- executions and tasks --------------------------------------------------------------------

    def get_execution(self, request: run_v2.GetExecutionRequest) -> run_v2.Execution:
        return self._execution(request.name)[1]

    def list_executions(
        self, request: run_v2.ListExecutionsRequest
    ) -> run_v2.ListExecutionsResponse:
        parent, _, job = request.parent.rpartition("/jobs/")
        _check_parent(parent)
        found = [
            held.execution
            for name, held in reversed(self.held.items())
            if held.execution is not None and job in {"-", name.rpartition("/")[2]}
        ]
        start = int(request.page_token or 0)
        end = start + min(request.page_size or self.page, self.page)
        more = str(end) if end < len(found) else ""
        return run_v2.ListExecutionsResponse(executions=found[start:end], next_page_token=more)

    def cancel_execution(self, request: run_v2.CancelExecutionRequest) -> Operation:
        held, execution = self._execution(request.name)
        if execution.completion_time:
            message = f"Execution {request.name} has already completed and cannot be cancelled."
            raise Refusal(StatusCode.FAILED_PRECONDITION, message)
        execution.cancelled_count = 1
        why: Any = run_v2.Condition.ExecutionReason.CANCELLED
        complete(held, _STATE.CONDITION_FAILED, "The execution was cancelled.", why)
        return _operation(execution)

    def list_tasks(self, request: run_v2.ListTasksRequest) -> run_v2.ListTasksResponse:
        held, _ = self._execution(request.parent)
        return run_v2.ListTasksResponse(tasks=[held.task])

    # -- finding ---------------------------------------------------------------------------------

    def _held(self, name: str) -> Held:
        if name not in self.held:
            raise Refusal(StatusCode.NOT_FOUND, f"Resource '{name}' of kind 'JOB' does not exist.")
        return self.held[name]

    def _execution(self, name: str) -> tuple[Held, run_v2.Execution]:
        held = self.held.get(name.partition("/executions/")[0])
        if held is None or held.execution is None or held.execution.name != name:
            message = f"Resource '{name}' of kind 'EXECUTION' does not exist."
            raise Refusal(StatusCode.NOT_FOUND, message)
        return held, held.execution


def complete(
    held: Held,
    state: run_v2.Condition.State,
    message: str,
    why: run_v2.Condition.ExecutionReason = _NO_REASON,
) -> None:
    """The execution ends so."""
    assert held.execution is not None
    held.execution.running_count = 0
    held.execution.completion_time = now()
    held.execution.conditions = [
        run_v2.Condition(type_="Started", state=_STATE.CONDITION_SUCCEEDED),
        run_v2.Condition(type_="Completed", state=state, message=message, execution_reason=why),
    ]


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _operation(resource: Any) -> Operation:
    packed = AnyMessage()
    packed.Pack(type(resource).pb(resource))
    return Operation(name=f"{PARENT}/operations/1", metadata=packed, done=False)


def _check_parent(parent: str) -> None:
    if parent != PARENT:
        message = (
            f"Permission 'run.jobs.create' denied on resource '{parent}' (or it may not exist)."
        )
        raise Refusal(StatusCode.PERMISSION_DENIED, message)


def _problems(request: run_v2.CreateJobRequest) -> Iterator[str]:
    job, task = request.job, request.job.template.template
    if not _JOB_ID.match(request.job_id):
        yield f"job_id {request.job_id!r}"
    if len(request.job_id) + len(job.start_execution_token) >= 63:
        yield "start_execution_token: too long with the name of the job"
    if job.name or job.uid or job.run_execution_token:
        yield "job: only the server writes this"
    for labels in (job.labels, job.template.labels):
        if len(labels) > 64 or not all(
            _LABEL_KEY.match(key) and _LABEL_VALUE.match(value) for key, value in labels.items()
        ):
            yield f"labels {dict(labels)}"
    for key in {*job.annotations, *job.template.annotations}:
        if _RESERVED.match(key):
            yield f"annotation {key} is reserved"
    if not task.containers or not task.containers[0].image:
        yield "template.template.containers[0].image is required"
    if not 0 < task.timeout.total_seconds() <= 604_800:
        yield "template.template.timeout"
    if "max_retries" not in task:
        yield "the fake insists on max_retries: its default is 3"
    if "vpc_access" in task and not (
        task.vpc_access.connector or task.vpc_access.network_interfaces
    ):
        yield "vpc_access is empty"
    names = [entry.name for container in task.containers for entry in container.env]
    if len(set(names)) != len(names):
        yield f"environment variables named twice: {names}"
