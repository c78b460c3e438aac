"""How does the platform reach Google Cloud? One gRPC channel, opened when it is needed.

PUSH_DISPATCH_CLOUD_RUN_ENDPOINT   replaces https://run.googleapis.com; http is for loopback only,
                                   and goes without an access token where none is configured
PUSH_DISPATCH_CLOUD_LOGGING_ENDPOINT  replaces https://logging.googleapis.com in the same way
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from google.api_core.exceptions import Unauthenticated
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
from google.cloud.run_v2.services.tasks.transports import TasksGrpcTransport

from push_dispatch.platforms.channel import Channel
from push_dispatch.platforms.google.logging import LOGGING, LOGGING_DEFAULT
from push_dispatch.platforms.google.rest import Endpoint
from push_dispatch.platforms.google.sign_in import SignIn
from push_dispatch.platforms.rest import Rest
from push_dispatch.ports.secrets import Secrets

__all__ = ["Clients"]

_CLOUD_RUN = "PUSH_DISPATCH_CLOUD_RUN_ENDPOINT"


class Clients:
    """The SDK's clients, which neither wait long nor send anything twice by themselves."""

    def __init__(
        self,
        environ: Mapping[str, str],
        secrets: Secrets,
        read_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._read_seconds = read_seconds
        self._sign_in = SignIn(environ, secrets)
        self._endpoint = Endpoint(environ, self._sign_in, _CLOUD_RUN, "https://run.googleapis.com")
        self._logs = Endpoint(environ, self._sign_in, LOGGING, LOGGING_DEFAULT)
        self._channel = Channel(lambda: self._endpoint.url, clock)
        self._opened: tuple[Any, Mapping[str, Any]] = (None, {})

    def ask(self, service: str, method: str, request: Any) -> Any:
        """The answer of `jobs`, `executions` or `tasks` to `request`. A token that Google no longer
        takes is replaced, once: nothing was done without it, so this is no blind retry. Raises what
        the SDK raises, and what `SignIn.token` does."""
        call = getattr(self._open()[service], method)
        try:
            return self._call(call, request)
        except Unauthenticated:
            if not self._sign_in.configured:
                raise
            self._sign_in.forget()
            return self._call(call, request)

    def _call(self, call: Any, request: Any) -> Any:
        metadata = [(name.lower(), value) for name, value in self._endpoint.headers().items()]
        return call(request=request, timeout=self._read_seconds, retry=None, metadata=metadata)

    def signed_in(self) -> str:
        """As whom, after signing in anew. Raises what `SignIn.token` does."""
        return self._endpoint.signed_in()

    @cached_property
    def logging(self) -> Rest:
        """The REST API of Cloud Logging. Raises Rejected."""
        return Rest(self._logs.url, self._logs.headers)

    def _open(self) -> Mapping[str, Any]:
        """The SDK's clients, on a channel that is open."""
        channel = self._channel.open()
        if self._opened[0] is not channel:
            self._opened = (
                channel,
                {
                    "jobs": run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel)),
                    "executions": run_v2.ExecutionsClient(
                        transport=ExecutionsGrpcTransport(channel=channel)
                    ),
                    "tasks": run_v2.TasksClient(transport=TasksGrpcTransport(channel=channel)),
                },
            )
        return self._opened[1]
