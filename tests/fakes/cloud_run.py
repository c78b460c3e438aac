"""The fake of Cloud Run that tests steer: a gRPC server, and Cloud Logging over REST beside it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
from google.cloud import run_v2
from google.longrunning.operations_pb2 import Operation  # type: ignore[import-untyped]
from google.protobuf.any_pb2 import Any as AnyMessage  # type: ignore[import-untyped]
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from tests.fakes.cloud_run_logging import FakeLogging
from tests.fakes.cloud_run_service import (
    LOCATION,
    PARENT,
    PROJECT,
    CloudRunService,
    Held,
    Refusal,
    complete,
    now,
)
from tests.fakes.google_sign_in import BehindGoogle

_STATE: Any = run_v2.Condition.State
_WHY: Any = run_v2.Condition.ExecutionReason
_PACKAGE = "google.cloud.run.v2"
#: By service and method: the request's type.
_METHODS: dict[str, dict[str, Any]] = {
    "Jobs": {
        "CreateJob": run_v2.CreateJobRequest,
        "GetJob": run_v2.GetJobRequest,
        "DeleteJob": run_v2.DeleteJobRequest,
    },
    "Executions": {
        "GetExecution": run_v2.GetExecutionRequest,
        "ListExecutions": run_v2.ListExecutionsRequest,
        "CancelExecution": run_v2.CancelExecutionRequest,
    },
    "Tasks": {"ListTasks": run_v2.ListTasksRequest},
}


class FakeCloudRun(BehindGoogle, CloudRunService):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.logging = FakeLogging()
        #: The methods called so far, and the metadata of each call.
        self.received: list[str] = []
        self.metadata: list[dict[str, Any]] = []
        #: The client's end of the connection of each call.
        self.peers: list[str] = []
        #: Access tokens that are accepted; None accepts everybody.
        self.tokens: set[str] | None = None
        self._lost: set[int] = set()
        self._planned: list[tuple[str, Refusal]] = []
        self._slow: tuple[str, float] | None = None
        self._leave = threading.Event()
        self._server = grpc.server(
            ThreadPoolExecutor(10),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 1 << 20)],
        )
        self._server.add_generic_rpc_handlers([_handlers(self, name) for name in _METHODS])
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    # -- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.logging.__enter__()
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._leave.set()
        self._server.stop(0).wait()
        self.logging.__exit__(*error)
        self.leave_google()

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PUSH_DISPATCH_CLOUD_RUN_ENDPOINT": f"http://127.0.0.1:{self._port}",
            "PUSH_DISPATCH_CLOUD_LOGGING_ENDPOINT": self.logging.url,
            **more,
        }

    # -- what the contract suite needs -----------------------------------------------------------

    def starts(self, name: str) -> int:
        return self.started.get(name, 0)

    def calls(self) -> int:
        return len(self.received)

    def requests(self, name: str) -> Sequence[object]:
        return [
            json.loads(run_v2.CreateJobRequest.to_json(request))
            for request in self.created
            if request.job_id == name
        ]

    def environment(self, name: str) -> dict[str, str]:
        container = self.of(name).job.template.template.containers[0]
        return {entry.name: entry.value for entry in container.env}

    def begin(self, name: str) -> None:
        with self.lock:
            execution = self.of(name).execution
            assert execution is not None
            if not execution.running_count:
                execution.running_count, execution.start_time = 1, now()

    def finish(self, name: str, exit_code: int) -> None:
        with self.lock:
            self.begin(name)
            if exit_code:
                self.fail(name, run_v2.TaskAttemptResult(exit_code=exit_code))
            else:
                held = self.of(name)
                assert held.execution is not None
                held.execution.succeeded_count = 1
                complete(held, _STATE.CONDITION_SUCCEEDED, "Execution completed successfully.")

    def write_log(self, name: str, line: str) -> None:
        self.logging.write(name, f"{name}-run", line)

    def leftovers(self) -> list[str]:
        return list(self.held)

    def lose_reply(self, call: int = 0) -> None:
        with self.lock:
            self._lost.add(len(self.received) + call)

    def throttle_next(self) -> None:
        message = "Quota exceeded for quota metric 'Job runs' and limit 'Job runs per minute'."
        delay = RetryInfo(retry_delay=Duration(seconds=17))
        self.refuse_next(Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, message, delay))

    # -- what else can happen --------------------------------------------------------------------

    def of(self, name: str) -> Held:
        return self.held[f"{PARENT}/jobs/{name}"]

    def admit(self, name: str) -> None:
        """With `slow_start`: the job is ready."""
        with self.lock:
            self.execute(f"{PARENT}/jobs/{name}")

    def fail_job(self, name: str, condition: run_v2.Condition) -> None:
        """The job never gets ready, so that there is no execution."""
        with self.lock:
            self.of(name).job.terminal_condition = condition

    def fail(
        self,
        name: str,
        result: run_v2.TaskAttemptResult,
        message: str = "Task failed with message: The container exited with an error.",
        why: run_v2.Condition.ExecutionReason = _WHY.NON_ZERO_EXIT_CODE,
    ) -> None:
        with self.lock:
            held = self.of(name)
            assert held.execution is not None
            held.task.last_attempt_result = result
            held.execution.failed_count = 1
            complete(held, _STATE.CONDITION_FAILED, message, why)

    def refuse_next(self, refusal: Refusal, method: str = "") -> None:
        """Answer the next call (of a method with this in its name) so, and do nothing."""
        with self.lock:
            self._planned.append((method, refusal))

    def slow_next(self, method: str, seconds: float) -> None:
        """The reply to the next such call, which is carried out, takes so long."""
        self._slow = method, seconds

    # -- one call --------------------------------------------------------------------------------

    def handle(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            self.peers.append(context.peer())
            answer = self._answered(method, request, dict(context.invocation_metadata()))
        except Refusal as refusal:
            _abort(context, refusal)
        if self._slow and self._slow[0] == method:
            seconds, self._slow = self._slow[1], None
            self._leave.wait(seconds)
        return answer

    def _answered(self, method: str, request: Any, metadata: dict[str, Any]) -> Any:
        with self.lock:
            call = len(self.received)
            self.received.append(method)
            self.metadata.append(metadata)
            for plan in self._planned:
                if plan[0] in method:
                    self._planned.remove(plan)
                    raise plan[1]
            kind, _, token = str(metadata.get("authorization", "")).partition(" ")
            if self.tokens is not None and not (kind == "Bearer" and token in self.tokens):
                message = "Request had invalid authentication credentials."
                raise Refusal(grpc.StatusCode.UNAUTHENTICATED, message)
            answer = getattr(self, _snake(method))(request)
            if call in self._lost:
                # What a client is told when the connection breaks before the answer.
                raise Refusal(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            return answer


def variables() -> dict[str, Any]:
    """Job variables that the fake accepts."""
    return {
        "project": PROJECT,
        "region": LOCATION,
        "image": "busybox",
        "command": "echo 'hello world'",
    }


def _handlers(fake: FakeCloudRun, service: str) -> grpc.GenericRpcHandler:
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _behaviour(fake, name),
            request_deserializer=request.deserialize,
            response_serializer=_serialized,
        )
        for name, request in _METHODS[service].items()
    }
    return grpc.method_handlers_generic_handler(f"{_PACKAGE}.{service}", handlers)


def _behaviour(fake: FakeCloudRun, name: str) -> Callable[[Any, grpc.ServicerContext], Any]:
    return lambda request, context: fake.handle(name, request, context)


def _serialized(answer: Any) -> bytes:
    if isinstance(answer, Operation):
        return answer.SerializeToString()
    content: bytes = type(answer).serialize(answer)
    return content


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> None:
    status = Status(code=refusal.code.value[0], message=refusal.message)
    for detail in refusal.details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    if refusal.details:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    with contextlib.suppress(grpc.RpcError):
        context.abort(refusal.code, refusal.message)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
