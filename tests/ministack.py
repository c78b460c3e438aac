"""A MiniStack of our own: a child process on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from push_dispatch.adapters.dynamodb.schema import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: No retries: what the tests want hidden, they hide themselves. Patient: the emulator imports a
#: service when the first call for it comes, which takes half a minute where cores are busy.
PLAIN = Config(
    connect_timeout=20,
    read_timeout=100,
    retries={"mode": "standard", "total_max_attempts": 1},
    max_pool_connections=32,
)
_START_SECONDS = 60


@contextmanager
def ministack(
    python: Path | str = sys.executable, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The endpoint of a fresh MiniStack, executed by this interpreter; it is gone afterwards.
    `environ` is what the Lambda functions find in their environment beside their own."""
    for _ in range(5):
        port = free_port()
        child = _start(port, python, environ or {})
        try:
            if _answers(child, port):
                yield f"http://127.0.0.1:{port}"
                return
        finally:
            _stop(child)
    raise RuntimeError("MiniStack does not start")


def client(service: str, endpoint: str, config: Config = PLAIN) -> Any:
    """A client of an endpoint, with made-up credentials unless it is a real one."""
    made_up: dict[str, str] = {}
    if "127.0.0.1" in endpoint or "localhost" in endpoint:
        made_up = {
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "region_name": "us-east-1",
        }
    sdk: Any = boto3
    return sdk.client(service, endpoint_url=endpoint, config=config, **made_up)


def table(endpoint: str, name: str) -> DynamoDBClient:
    """A client, and the table `name` behind it."""
    dynamodb: DynamoDBClient = client("dynamodb", endpoint)
    create_table(dynamodb, name)
    return dynamodb


def free_port() -> int:
    """Below those that the kernel gives to clients: it takes MiniStack seconds to listen, and until
    then anybody's connection could be given a port that was free."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def _start(port: int, python: Path | str, more: Mapping[str, str]) -> subprocess.Popen[bytes]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environ |= {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LOG_LEVEL": "ERROR",
        **more,
    }
    return subprocess.Popen(
        [str(python), "-m", "ministack"],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _answers(child: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
