"""How does a function run in Lambda? Its built folder under AWS's own runtime client, over HTTP.

The runtime client (`awslambdaric`) is what calls a handler in Lambda. It asks the Runtime API for
the next event, over and over, and posts what the handler returns or raises; this is that API, on
loopback, for one child at a time. The child sees the built folder, the standard library and the
client, and nothing else: a dependency that was not packaged is missing.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

__all__ = ["Failed", "Function", "runtime_client"]

#: The client and what it needs.
_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
_PREFIX = "/2018-06-01/runtime"


class Failed(Exception):
    """The function raised, could not be loaded, ended by itself or took too long."""


def runtime_client(folder: Path) -> Path:
    """A folder with the runtime client alone, made in `folder` of what is installed here."""
    made = folder / "runtime-client"
    made.mkdir()
    for name in _CLIENT:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {".."}:
            (made / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return made


@dataclass
class Function:
    """One function with one sandbox, which is started by the first event and kept warm."""

    name: str
    handler: str
    #: What `sam build` has made of it.
    code: Path
    #: What it is configured with, and where AWS is.
    environ: Mapping[str, str]
    timeout_seconds: int
    client: Path
    #: Where its output goes.
    log: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _sandbox: _Sandbox | None = field(default=None, repr=False)

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """What the handler returns for the event; one at a time. Raises Failed."""
        with self._lock:
            if self._sandbox is None or not self._sandbox.alive:
                self.close()
                self._sandbox = _Sandbox(self)
            try:
                answer = self._sandbox.invoke(event, self.timeout_seconds)
            except Failed:
                # As Lambda does: an end or a time-out costs the sandbox, an exception does not.
                if not self._sandbox.alive:
                    self.close()
                raise
        result: dict[str, Any] = answer
        return result

    def close(self) -> None:
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass
class _Invocation:
    event: Mapping[str, Any]
    deadline_ms: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answered: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: str = ""


class _Sandbox:
    """A child and its Runtime API. Each child has a port of its own: a request that a killed one
    has left hanging never takes its successor's event."""

    def __init__(self, function: Function) -> None:
        self.events: queue.SimpleQueue[_Invocation | None] = queue.SimpleQueue()
        self.current: _Invocation | None = None
        self.arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_RuntimeApi, self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        with function.log.open("ab") as log:
            self._child = subprocess.Popen(
                # -S: no site-packages of this environment.
                [sys.executable, "-S", "-m", "awslambdaric", function.handler],
                cwd=function.code,
                env=self._environ(function),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def invoke(self, event: Mapping[str, Any], timeout_seconds: int) -> Any:
        deadline = time.monotonic() + timeout_seconds
        self.current = _Invocation(event, int((time.time() + timeout_seconds) * 1000))
        self.events.put(self.current)
        while not self.current.answered.wait(0.05):
            if not self.alive:
                raise Failed(f"the runtime ended with {self._child.returncode}")
            if time.monotonic() > deadline:
                self._child.kill()
                self._child.wait()
                raise Failed(f"no answer within {timeout_seconds} s")
        if self.current.error:
            raise Failed(self.current.error)
        return self.current.result

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        self.events.put(None)
        self._server.shutdown()
        self._server.server_close()

    def _environ(self, function: Function) -> dict[str, str]:
        """What Lambda defines, and nothing of this process's own.
        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
        return {
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": os.pathsep.join([str(function.code), str(function.client)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "_HANDLER": function.handler,
            "LAMBDA_TASK_ROOT": str(function.code),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            **function.environ,
        }


class _RuntimeApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body in one segment, sent at once: else each event takes 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, sandbox: _Sandbox, *arguments: Any) -> None:
        self._sandbox = sandbox
        super().__init__(*arguments)

    def do_GET(self) -> None:
        invocation = self._sandbox.events.get()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self._sandbox.arn,
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
        }
        self._answer(200, _wire(invocation.event), headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        invocation = self._sandbox.current
        path = self.path.removeprefix(_PREFIX)
        if path == "/init/error":
            self._settle(invocation, error=body.decode())
        elif invocation is None or not path.startswith(f"/invocation/{invocation.id}/"):
            self._answer(400, b"{}", {})
            return
        elif path.endswith("/error"):
            self._settle(invocation, error=body.decode())
        else:
            self._settle(invocation, result=json.loads(body))
        self._answer(202, b"{}", {})

    @staticmethod
    def _settle(invocation: _Invocation | None, result: Any = None, error: str = "") -> None:
        if invocation is not None:
            invocation.result, invocation.error = result, error
            invocation.answered.set()

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *arguments: Any) -> None:
        pass


def _wire(event: Mapping[str, Any]) -> bytes:
    """An event as Lambda writes it: of a stream's records, times are numbers, bytes are base64.
    https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
    return json.dumps(event, default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"Lambda has no way to send {value!r}")
