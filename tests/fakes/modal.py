"""The fake of Modal that tests steer: a gRPC server with the stub of Modal's own client.

Its traps: a name is unique only while its sandbox runs; the second version refuses GPUs, the first
one knows its sandboxes only by calls of its own; images are built, which takes a while.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from modal_proto import api_pb2, api_pb2_grpc

_STATUS = api_pb2.GenericResult.GenericStatus
_METHODS = (
    "AuthTokenGet",
    "WorkspaceNameLookup",
    "AppGetOrCreate",
    "AppFetchLogs",
    "ImageGetOrCreate",
    "SecretGetOrCreate",
    "SandboxCreate",
    "SandboxCreateV2",
    "SandboxGetFromName",
    "SandboxGetFromNameV2",
    "SandboxListV2",
    "SandboxWait",
    "SandboxWaitV2",
    "SandboxTerminate",
    "SandboxTerminateV2",
)


class Refusal(Exception):
    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class Sandbox:
    id: str
    app: str
    definition: Any
    environment: dict[str, str]
    version: int
    tags: dict[str, str]
    created: float = 0
    started: float = 0
    finished: float = 0
    result: Any = field(default_factory=api_pb2.GenericResult)

    @property
    def over(self) -> bool:
        return bool(self.result.status)


def variables() -> dict[str, Any]:
    return {"image": "python:3.12", "command": "python -m etl"}


class FakeModal:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.received: list[tuple[str, Any]] = []
        self.tokens = {"ak-1": "as-1"}
        self.sandboxes: dict[str, Sandbox] = {}
        self.apps: dict[str, str] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.images: dict[str, int] = {}
        #: How often a new image is asked for before it is built.
        self.build_takes = 0
        self.broken_images: set[str] = set()
        #: How the next builds end, in order.
        self.builds: list[str] = []
        #: Sandboxes of a page of the list.
        self.page = 100
        self._logs: list[tuple[str, str]] = []
        self._lost: set[int] = set()
        self._planned: list[tuple[str, Refusal]] = []
        self._server = grpc.server(ThreadPoolExecutor(8))
        servicer = type("Servicer", (api_pb2_grpc.ModalClientServicer,), self._handlers())
        api_pb2_grpc.add_ModalClientServicer_to_server(servicer(), self._server)
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def environ(self) -> dict[str, str]:
        return {
            "MODAL_SERVER_URL": f"http://127.0.0.1:{self._port}",
            "MODAL_TOKEN_ID": "ak-1",
            "MODAL_TOKEN_SECRET": "as-1",
        }

    # -- what the contract suite needs -----------------------------------------------------------

    def starts(self, name: str) -> int:
        return sum(s.definition.name == name for s in self.sandboxes.values())

    def calls(self) -> int:
        """Signing in is left out."""
        return len(self.received)

    def requests(self, name: str) -> Sequence[Any]:
        creates = [r for m, r in self.received if m in ("SandboxCreate", "SandboxCreateV2")]
        return [MessageToDict(r) for r in creates if r.definition.name == name]

    def environment(self, name: str) -> Mapping[str, str]:
        return self._sandbox(name).environment

    def begin(self, name: str) -> None:
        sandbox = self._sandbox(name)
        sandbox.started = sandbox.started or time.time()

    def finish(self, name: str, exit_code: int) -> None:
        status = "GENERIC_STATUS_FAILURE" if exit_code else "GENERIC_STATUS_SUCCESS"
        self.end(name, status, exit_code)

    def end(self, name: str, status: str, exit_code: int = 0, exception: str = "") -> None:
        sandbox = self._sandbox(name)
        sandbox.finished = time.time()
        sandbox.result = api_pb2.GenericResult(
            status=_STATUS.Value(status), exitcode=exit_code, exception=exception
        )

    def write_log(self, name: str, line: str) -> None:
        """Modal cuts its output where it likes."""
        sandbox = self._sandbox(name).id
        half = len(line) // 2
        self._logs += [(sandbox, line[:half]), (sandbox, line[half:] + "\n")]

    def leftovers(self) -> list[str]:
        return [s.definition.name for s in self.sandboxes.values() if not s.over]

    def revoke(self) -> None:
        self.tokens.clear()

    def lose_reply(self, call: int = 0) -> None:
        with self.lock:
            self._lost.add(len(self.received) + call)

    def throttle_next(self) -> None:
        self.refuse_next("", grpc.StatusCode.RESOURCE_EXHAUSTED, "Rate limit exceeded")

    def refuse_next(self, method: str, code: grpc.StatusCode, message: str) -> None:
        """The next call of that method (of any, if empty) is refused."""
        with self.lock:
            self._planned.append((method, Refusal(code, message)))

    # -- serving ---------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Any]:
        return {name: self._handler(name, getattr(self, f"_{name}")) for name in _METHODS}

    def _handler(self, name: str, answer: Callable[[Any], Any]) -> Any:
        def handle(_servicer: object, request: Any, context: Any) -> Any:
            headers = dict(context.invocation_metadata())
            with self.lock:
                refusal, lost, reply = self._handled(name, answer, request, headers)
            if lost:
                # As if the connection broke: gRPC has no other way to say nothing.
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            if refusal is not None:
                context.abort(refusal.code, refusal.message)
            return reply

        return handle

    def _handled(
        self, name: str, answer: Callable[[Any], Any], request: Any, headers: Mapping[str, str]
    ) -> tuple[Refusal | None, bool, Any]:
        secret = self.tokens.get(headers.get("x-modal-token-id", ""))
        known = secret is not None and secret == headers.get("x-modal-token-secret")
        if not known or not headers.get("x-modal-client-version"):
            return Refusal(grpc.StatusCode.UNAUTHENTICATED, "Token missing"), False, None
        if name == "AuthTokenGet":
            return None, False, answer(request)
        if name.endswith("V2") and headers.get("x-modal-auth-token") != _jwt():
            return Refusal(grpc.StatusCode.UNAUTHENTICATED, "auth token missing"), False, None
        call = len(self.received)
        self.received.append((name, request))
        for plan in self._planned:
            if plan[0] in ("", name):
                self._planned.remove(plan)
                return plan[1], False, None
        reply, refusal = None, None
        try:
            reply = answer(request)
        except Refusal as error:
            refusal = error
        return refusal, call in self._lost, reply

    # -- the API ---------------------------------------------------------------------------------

    def _AuthTokenGet(self, _: Any) -> Any:
        return api_pb2.AuthTokenGetResponse(token=_jwt())

    def _WorkspaceNameLookup(self, _: Any) -> Any:
        return api_pb2.WorkspaceNameLookupResponse(workspace_name="acme", username="runner")

    def _AppGetOrCreate(self, ask: Any) -> Any:
        app = self.apps.setdefault(ask.app_name, f"ap-{len(self.apps)}")
        return api_pb2.AppGetOrCreateResponse(app_id=app)

    def _SecretGetOrCreate(self, ask: Any) -> Any:
        if ask.deployment_name:
            if ask.deployment_name not in self.secrets:
                raise Refusal(
                    grpc.StatusCode.NOT_FOUND, f"Secret '{ask.deployment_name}' not found"
                )
            return api_pb2.SecretGetOrCreateResponse(secret_id=ask.deployment_name)
        name = f"st-{len(self.secrets)}"
        self.secrets[name] = dict(ask.env_dict)
        return api_pb2.SecretGetOrCreateResponse(secret_id=name)

    def _ImageGetOrCreate(self, ask: Any) -> Any:
        content = "\n".join(ask.image.dockerfile_commands)
        self.images[content] = self.images.get(content, 0) + 1
        name = f"im-{list(self.images).index(content)}"
        result = api_pb2.GenericResult()
        if self.builds:
            result = api_pb2.GenericResult(status=_STATUS.Value(self.builds.pop(0)))
        elif content in self.broken_images:
            failed = _STATUS.Value("GENERIC_STATUS_FAILURE")
            result = api_pb2.GenericResult(status=failed, exception="manifest unknown")
        elif self.images[content] > self.build_takes:
            result = api_pb2.GenericResult(status=_STATUS.Value("GENERIC_STATUS_SUCCESS"))
        return api_pb2.ImageGetOrCreateResponse(image_id=name, result=result)

    def _SandboxCreateV2(self, ask: Any) -> Any:
        if ask.definition.resources.gpu_config.gpu_type:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "GPUs are not supported")
        environment: dict[str, str] = {}
        for source in ask.secret_sources:
            environment |= self.secrets.get(source.secret_id, {}) | dict(source.env.contents)
        sandbox = self._create(ask, environment, 2)
        return api_pb2.SandboxCreateV2Response(sandbox_id=sandbox.id)

    def _SandboxCreate(self, ask: Any) -> Any:
        environment: dict[str, str] = {}
        for secret in ask.definition.secret_ids:
            environment |= self.secrets[secret]
        return api_pb2.SandboxCreateResponse(sandbox_id=self._create(ask, environment, 1).id)

    def _create(self, ask: Any, environment: dict[str, str], version: int) -> Sandbox:
        wanted = ask.definition
        if not wanted.image_id.startswith("im-") or not wanted.entrypoint_args:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no image or no command")
        alive = [s for s in self.sandboxes.values() if not s.over]
        if any((s.app, s.definition.name) == (ask.app_id, wanted.name) for s in alive):
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Sandbox '{wanted.name}' already exists")
        name = f"sb-{len(self.sandboxes):022d}"
        tags = {tag.tag_name: tag.tag_value for tag in ask.tags}
        created = 1000.0 + len(self.sandboxes)
        made = Sandbox(name, ask.app_id, wanted, environment, version, tags, created)
        self.sandboxes[name] = made
        return self.sandboxes[name]

    def _SandboxGetFromName(self, ask: Any) -> Any:
        return self._from_name(ask, 1)

    def _SandboxGetFromNameV2(self, ask: Any) -> Any:
        return self._from_name(ask, 2)

    def _from_name(self, ask: Any, version: int) -> Any:
        for sandbox in reversed(list(self.sandboxes.values())):
            same = (sandbox.app, sandbox.definition.name, sandbox.version) == (
                self.apps.get(ask.app_name),
                ask.sandbox_name,
                version,
            )
            if same and (ask.include_terminated or not sandbox.over):
                return api_pb2.SandboxGetFromNameResponse(sandbox_id=sandbox.id)
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"Sandbox '{ask.sandbox_name}' not found")

    def _SandboxListV2(self, ask: Any) -> Any:
        """Of both versions, the newest first, page by page."""
        wanted = {tag.tag_name: tag.tag_value for tag in ask.tags}
        shown = [
            api_pb2.SandboxInfo(
                id=s.id,
                app_id=s.app,
                created_at=s.created,
                task_info=api_pb2.TaskInfo(
                    started_at=s.started, finished_at=s.finished, result=s.result
                ),
            )
            for s in reversed(self.sandboxes.values())
            if s.app == ask.app_id
            and (not ask.before_timestamp or s.created < ask.before_timestamp)
            and (ask.include_finished or not s.over)
            and wanted.items() <= s.tags.items()
        ]
        return api_pb2.SandboxListResponse(sandboxes=shown[: self.page])

    def _SandboxWait(self, ask: Any) -> Any:
        return api_pb2.SandboxWaitResponse(result=self._known(ask, 1).result)

    def _SandboxWaitV2(self, ask: Any) -> Any:
        return api_pb2.SandboxWaitResponse(result=self._known(ask, 2).result)

    def _SandboxTerminate(self, ask: Any) -> Any:
        return self._terminated(self._known(ask, 1))

    def _SandboxTerminateV2(self, ask: Any) -> Any:
        return self._terminated(self._known(ask, 2))

    def _terminated(self, sandbox: Sandbox) -> Any:
        if not sandbox.over:
            self.end(sandbox.definition.name, "GENERIC_STATUS_TERMINATED", 137)
        return api_pb2.SandboxTerminateResponse()

    def _AppFetchLogs(self, ask: Any) -> Any:
        items = [
            api_pb2.TaskLogs(data=data, timestamp=float(n))
            for n, (sandbox, data) in enumerate(self._logs)
            if sandbox == ask.sandbox_id
        ]
        return api_pb2.AppFetchLogsResponse(batches=[api_pb2.TaskLogsBatch(items=items)])

    def _known(self, ask: Any, version: int) -> Sandbox:
        sandbox = self.sandboxes.get(ask.sandbox_id)
        if sandbox is None or sandbox.version != version:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Sandbox '{ask.sandbox_id}' not found")
        return sandbox

    def _sandbox(self, name: str) -> Sandbox:
        return next(s for s in self.sandboxes.values() if s.definition.name == name)


def _jwt() -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 4_102_444_800}).encode()).decode()
    return f"e30.{claims.rstrip('=')}.x"
