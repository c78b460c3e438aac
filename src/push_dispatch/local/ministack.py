"""The emulator of DynamoDB and SQS: a child process on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from push_dispatch.core.errors import Invalid, Unavailable
from push_dispatch.core.reasons import Reason
from push_dispatch.local.guard import KEY_VARIABLE, bearer

if TYPE_CHECKING:
    import boto3

__all__ = ["MiniStack", "session"]

_START_SECONDS = 60
_STOP_SECONDS = 15
_TRIES = 3
#: Whatever proxy the environment names: this goes to loopback.
_DIRECT = build_opener(ProxyHandler({}))


def session(key: str) -> boto3.Session:
    """A session for the emulator with this key; no profile has a say."""
    import boto3  # noqa: PLC0415 - 100 ms that only some callers need
    from botocore.session import Session  # noqa: PLC0415

    # AWS_PROFILE may name one that does not exist.
    core = Session(session_vars={"profile": (None, None, None, None)})
    return boto3.Session(key, "local", region_name="us-east-1", botocore_session=core)


class MiniStack:
    """Keeps its state in a directory, from one clean stop to the next start. Answers whoever signs
    with its `key`, which is new at each start, and nobody else."""

    def __init__(self, state: Path, log: Path) -> None:
        self._state = state
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self.endpoint = ""
        self.key = secrets.token_hex(20)

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._child is not None and self._child.poll() is None

    def start(self, waiting: Callable[[], None] = lambda: None) -> str:
        """Start the child and return its endpoint. Raises Unavailable."""
        if find_spec("ministack") is None:
            raise Invalid(
                "the emulator is not installed: pip install 'push-dispatch[cli,local,emulator]'",
                reason=Reason.NO_BACKEND,
            )
        for _ in range(_TRIES):
            port = _free_port()
            self._child = self._spawn(port)
            if self._answers(port, waiting):
                self.endpoint = f"http://127.0.0.1:{port}"
                return self.endpoint
            self.stop()
        raise Unavailable(f"MiniStack does not start: see {self._log}")

    def stop(self) -> None:
        """Let the child save its state and wait for its end."""
        if self._child is None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environ |= {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._state),
            "LOG_LEVEL": "WARNING",
            # These listen on all addresses, whatever the one above says.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "SFTP_HOST": "127.0.0.1",
            KEY_VARIABLE: self.key,
        }
        self._state.mkdir(parents=True, exist_ok=True)
        self._log.touch(mode=0o600)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "push_dispatch.local.guard"],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal goes to the whole group; the runtime decides when it stops.
                start_new_session=True,
                umask=0o077,
            )

    def _answers(self, port: int, waiting: Callable[[], None]) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        health = Request(
            f"http://127.0.0.1:{port}/_ministack/health",
            headers={"Authorization": bearer(self.key)},
        )
        while self.alive and time.monotonic() < deadline:
            with suppress(URLError, OSError), _DIRECT.open(health, timeout=2):
                return True
            waiting()
            time.sleep(0.02)
        return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
