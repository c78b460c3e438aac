"""How does a run become a container?

Through the real client, over the unix or TCP socket that DOCKER_HOST names, in two steps: a
container of the attempt's deterministic name is created, then started. The name is taken until
the container is removed, so that creating it twice is refused, and the one that is there is
adopted. It is started only if it never was: starting one that has ended runs it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from docker import APIClient, DockerClient, from_env
from docker.errors import APIError, DockerException
from requests.exceptions import ReadTimeout, RequestException

from push_dispatch.core.errors import PlatformError, Rejected, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Capabilities, Job, Observation, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.docker.images import Images
from push_dispatch.platforms.docker.refusal import REFUSALS
from push_dispatch.platforms.docker.request import ATTEMPT, Order, is_ours, order_for
from push_dispatch.platforms.docker.verdict import STARTING, killed_at_a_limit, read
from push_dispatch.platforms.refusals import Reaction
from push_dispatch.platforms.shared import (
    asking,
    building,
    invalid,
    lines,
    lost,
    no_credentials,
    unknown,
)

__all__ = ["Docker"]

_SECONDS = 8
#: A pull is silent while a layer is unpacked.
_PULL_SECONDS = 300
#: SIGKILL follows SIGTERM after this long. The engine sees to it: nobody waits for the answer.
_GRACE_SECONDS = 30
_STOP_SECONDS = 2


class Docker:
    """Starts, watches and stops containers on one engine: Docker, or Podman's Docker API."""

    name: ClassVar[str] = "docker"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._connected: DockerClient | None = None
        self._images = Images(self._pull)

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. Create, inspect, start; the image is pulled on the side."""
        with building():
            order = order_for(job)
        with self._asking(job.name):
            if order.pull in {"Always", "IfPossible"}:
                # Looked up first: a push that is repeated must not pull again.
                if found := self._adopt(job, order):
                    return found
                self._refresh(order)
            created = self._create(order)
            if created is not None:
                return self._start(created, order)
            found = self._adopt(job, order)
        if found is None:
            raise Uncertain(f"container {job.name} exists and cannot be found")
        return found

    def find(self, job: Job) -> str | None:
        """See `FindsByName`. A container that was created and never started is the first half of
        a push, which is completed."""
        with asking():
            with building():
                order = order_for(job)
            with self._asking(job.name):
                return self._adopt(job, order)

    def _refresh(self, order: Order) -> None:
        try:
            self._images.pull(order.image, order.credentials)
        except PlatformError as error:
            if order.pull == "Always" or error.reason == Reason.IMAGE_PULLING:
                raise

    def _create(self, order: Order) -> Mapping[str, Any] | None:
        """The new container as inspected; None if there is one of that name."""
        try:
            containers = self._client.containers
            created = containers.create(order.image, order.command, **order.arguments)
        except APIError as error:
            if REFUSALS.exists(error):
                return None
            if (
                REFUSALS.row(error).reason != Reason.IMAGE_PULL_FAILED
                or order.pull != "IfNotPresent"
            ):
                raise
            self._images.pull(order.image, order.credentials)
            return self._create(replace(order, pull="Never"))
        except (TypeError, ValueError) as error:
            raise invalid(f"the container cannot be made: {error}") from error
        inspected: Mapping[str, Any] = created.attrs
        return inspected

    def _adopt(self, job: Job, order: Order) -> str | None:
        container = self._inspect(job.name)
        if container is None:
            return None
        if not is_ours(container, job):
            raise Rejected(f"container {job.name} is another owner's: remove or rename it")
        if container["State"]["Status"] in STARTING:
            return self._start(container, order)
        return str(container["Id"])

    def _start(self, container: Mapping[str, Any], order: Order) -> str:
        identity = str(container["Id"])
        connected = (container.get("NetworkSettings") or {}).get("Networks") or {}
        try:
            for network in order.networks:
                if network not in connected:
                    self._api.connect_container_to_network(identity, network)
            self._api.start(identity)
        except APIError as error:
            if REFUSALS.gone(error):
                raise Uncertain(f"container {identity} was removed before it started") from error
            if REFUSALS.row(error).reaction is Reaction.PERMANENT:
                # It never ran and never will, and nobody will ever know its handle.
                with contextlib.suppress(APIError):
                    self._api.remove_container(identity)
            raise
        return identity

    # -- observe ---------------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. One list of what is alive, and a look at each that is not."""
        if not jobs:
            return []
        try:
            with self._asking("the list of containers"):
                found = self._api.containers(filters={"label": ATTEMPT})
        except PlatformError as error:
            return [unknown(watched, error.message) for watched in jobs]
        alive = {container["Id"]: container for container in found}
        return [self._observe(watched, alive.get(watched.handle)) for watched in jobs]

    def _observe(self, watched: Watched, listed: Mapping[str, Any] | None) -> Observation:
        if listed is not None:
            state = {"Status": listed.get("State")}
            return read(watched, {"State": state})
        tells_memory = True
        try:
            with self._asking(watched.handle):
                container = self._inspect(watched.handle)
                if container and killed_at_a_limit(container):
                    tells_memory = not self._is_podman
        except PlatformError as error:
            return unknown(watched, error.message)
        if container is None:
            return lost(watched, "the container is gone")
        return read(watched, container, tells_memory=tells_memory)

    # -- cancel ----------------------------------------------------------------------------------

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`. SIGTERM, and SIGKILL half a minute later."""
        with asking(), self._asking(handle):
            REFUSALS.found(APIError, lambda: self._stop(handle))

    def _stop(self, handle: str) -> None:
        """Ask for it without waiting, which docker-py's own `stop` cannot do: the engine answers
        when the container has stopped, and goes on when the one who asked is gone."""
        api = self._api
        url = f"{api.base_url}/v{api.api_version}/containers/{handle}/stop"
        with contextlib.suppress(ReadTimeout):
            reply = api.post(url, params={"t": _GRACE_SECONDS}, timeout=_STOP_SECONDS)
            if reply.status_code >= 400:
                raise APIError(reply.text, reply, reply.text)
            self._forget_unstarted(handle)

    def _forget_unstarted(self, handle: str) -> None:
        """One that was never started cannot be stopped, whatever the engine has answered."""
        container = self._inspect(handle)
        if container and container["State"]["Status"] in STARTING:
            self._api.remove_container(handle)

    # -- logs and leftovers ----------------------------------------------------------------------

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs`. Nothing once the container is removed."""
        with self._asking(handle):
            if self._inspect(handle) is not None:
                yield from lines(self._api.logs(handle, stream=True, follow=False))

    def clean_up(self, handle: str) -> None:
        """See `CleansUp`."""
        with self._asking(handle):
            REFUSALS.found(APIError, lambda: self._api.remove_container(handle, v=True))

    # -- the engine ------------------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. The engine's version, on a connection of its own."""
        with self._asking("the version", harmless=True):
            with contextlib.closing(self._connect(_SECONDS)) as client:
                version = client.version().get("Version", "of an unknown version")
            where = self._environ.get("DOCKER_HOST") or "the default socket"
            return f"the engine {version} answers at {where}"

    @property
    def _client(self) -> DockerClient:
        if self._connected is None:
            self._connected = self._connect(_SECONDS)
        return self._connected

    @property
    def _api(self) -> APIClient:
        return self._client.api

    @cached_property
    def _is_podman(self) -> bool:
        """Its conmon misses kills for memory where it cannot watch the control group."""
        parts = self._client.version().get("Components") or []
        return any("podman" in str(part.get("Name", "")).lower() for part in parts)

    def _connect(self, seconds: int) -> DockerClient:
        try:
            return from_env(environment=dict(self._environ), timeout=seconds)
        except DockerException as error:
            if error.__cause__ is not None:  # the engine was asked for its version
                raise
            raise no_credentials(f"DOCKER_HOST, DOCKER_TLS_VERIFY: {error}") from error

    def _inspect(self, name: str) -> Mapping[str, Any] | None:
        return REFUSALS.found(APIError, lambda: self._api.inspect_container(name))

    def _pull(self, image: str, credentials: Mapping[str, str] | None) -> Iterator[Any]:
        client = self._connect(_PULL_SECONDS)
        signed_in = dict(credentials) if credentials else None
        with contextlib.closing(client):
            yield from client.api.pull(image, stream=True, decode=True, auth_config=signed_in)

    def _asking(self, what: str, *, harmless: bool = False) -> AbstractContextManager[None]:
        """Whatever the client raises, as an error of ours; of a push, or of a harmless question."""
        return REFUSALS.translated(
            (DockerException, RequestException), f"{what}: ", harmless=harmless
        )
