"""How are attempts started, watched and stopped on Modal?

An attempt is a sandbox of its name in the pool's app. The name is unique while it runs, and free
again afterwards: a push looks first, ended sandboxes included. With GPUs it is a sandbox of the
first version, whose creation Modal's own client waits for up to 21 minutes; here nobody waits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import grpc
from modal_proto import api_pb2

from push_dispatch.core.errors import PlatformError, Rejected, Throttled
from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms import shared
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.modal.clients import Clients
from push_dispatch.platforms.modal.cost import estimate
from push_dispatch.platforms.modal.refusal import REFUSALS
from push_dispatch.platforms.modal.request import (
    RUN,
    Image,
    app_of,
    definition_for,
    image_of,
    needs_v1,
    tags_of,
)
from push_dispatch.platforms.modal.verdict import ended_with, has_ended, status_of
from push_dispatch.ports.secrets import NO_SECRETS, Secrets

__all__ = ["Modal"]

#: What images are built with: one of the versions that the client of 2026 knows.
_BUILDER = "2025.06"
#: Wait for an image that is being built.
_BUILD_SECONDS = 10
#: Ends of a build that another one may not have.
_BUILD_AGAIN = {"TERMINATED", "TIMEOUT", "INTERNAL_FAILURE"}
#: … but for one that was stopped because nobody pays for it.
_UNPAID = r"\b(credits?|budget|billing|spend limit)\b"
#: Pages of the list of sandboxes that are read at most.
_PAGES = 50
_LOG_LINES = 1000


@dataclass(frozen=True, slots=True)
class _Place(shared.Place):
    """A sandbox; the two versions have calls of their own."""

    FORM = "{app}/{id}@v{number}"
    app: str
    id: str
    number: str

    @property
    def version(self) -> str:
        """Suffix of the calls that know it."""
        return "V2" if self.number == "2" else ""


class Modal:
    """Modal: one named sandbox per attempt.

    Reads from `environ` what `clients` lists.
    """

    name: ClassVar[str] = "modal"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]

    def __init__(
        self,
        environ: Mapping[str, str],
        secrets: Secrets = NO_SECRETS,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._clients = Clients(environ, secrets, clock)
        self._apps = shared.Remembered(self._app)
        self._images = shared.Remembered(self._image)
        self._secrets = shared.Remembered(self._secret)

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. The last request starts it. Throttled (`image_pulling`) while the
        image is being built."""
        with shared.building():
            image = image_of(job.configuration)
            environment = shared.texts(job.configuration.get("env"))
            definition_for(job, "", [])
            tags_of(job)  # what cannot be a sandbox is refused before anything is asked
            values = shared.secret_values(job)
        with _translated():
            app = self._apps[app_of(job)]
            if (found := self._existing(job, app)) is not None:
                return found
            image_id = image.id or self._images[app, image]
            named = [self._secrets[str(n)] for n in job.configuration.get("secrets") or ()]
            try:
                return self._create(job, app, image_id, named, [values, environment])
            except grpc.RpcError as error:
                if REFUSALS.exists(error) and (found := self._existing(job, app)):
                    return found
                raise

    def _create(
        self,
        job: Job,
        app: str,
        image_id: str,
        named: list[str],
        values: Sequence[Mapping[str, str]],
    ) -> str:
        inline = [dict(contents) for contents in values if contents]
        if needs_v1(job.configuration):
            ids = [*named, *(self._ephemeral(app, contents) for contents in inline)]
            request = api_pb2.SandboxCreateRequest(
                app_id=app, definition=definition_for(job, image_id, ids), tags=tags_of(job)
            )
            answer = self._clients.ask("SandboxCreate", request)
            return str(_Place(app, answer.sandbox_id, "1"))
        sources = [api_pb2.SecretSource(secret_id=secret) for secret in named]
        sources += [api_pb2.SecretSource(env=api_pb2.StringMap(contents=c)) for c in inline]
        answer = self._clients.ask(
            "SandboxCreateV2",
            api_pb2.SandboxCreateV2Request(
                app_id=app,
                definition=definition_for(job, image_id, []),
                secret_sources=sources,
                tags=tags_of(job),
            ),
        )
        return str(_Place(app, answer.sandbox_id, "2"))

    def find(self, job: Job) -> str | None:
        """See `FindsByName`."""
        with shared.asking(), _translated():
            return self._existing(job, self._apps[app_of(job)])

    def _existing(self, job: Job, app: str) -> str | None:
        version = "" if needs_v1(job.configuration) else "V2"
        request = api_pb2.SandboxGetFromNameRequest(
            sandbox_name=job.name,
            app_name=app_of(job),
            environment_name=self._clients.environment,
            include_terminated=True,
        )
        call = partial(self._clients.ask, f"SandboxGetFromName{version}", request)
        if (answer := REFUSALS.found(grpc.RpcError, call)) is None:
            return None
        return str(_Place(app, answer.sandbox_id, version.removeprefix("V") or "1"))

    # -- what a sandbox needs --------------------------------------------------------------------

    def _app(self, name: str) -> str:
        request = api_pb2.AppGetOrCreateRequest(
            app_name=name,
            environment_name=self._clients.environment,
            object_creation_type=api_pb2.OBJECT_CREATION_TYPE_CREATE_IF_MISSING,
        )
        return str(self._clients.ask("AppGetOrCreate", request).app_id)

    def _image(self, wanted: tuple[str, Image]) -> str:
        """The same commands are the same image: asked for again, it is there or being built."""
        app, image = wanted
        registry = None
        if image.secret:
            registry = api_pb2.ImageRegistryConfig(
                registry_auth_type=api_pb2.RegistryAuthType.Value(image.registry),
                secret_id=self._secrets[image.secret],
            )
        request = api_pb2.ImageGetOrCreateRequest(
            app_id=app,
            image=api_pb2.Image(dockerfile_commands=image.commands, image_registry_config=registry),
            builder_version=_BUILDER,
        )
        answer = self._clients.ask("ImageGetOrCreate", request)
        if not answer.result.status:
            raise Throttled(
                f"Modal is building {image.commands[0]!r}",
                reason=Reason.IMAGE_PULLING,
                after_seconds=_BUILD_SECONDS,
            )
        status = status_of(answer.result)
        why = answer.result.exception or f"see: modal image logs {answer.image_id}"
        if status in _BUILD_AGAIN and not re.search(_UNPAID, why, re.IGNORECASE):
            raise Throttled(
                f"Modal's build of {image.commands[0]!r} has ended with {status}: once more",
                reason=Reason.IMAGE_PULLING,
                after_seconds=_BUILD_SECONDS,
            )
        if status != "SUCCESS":
            raise Rejected(f"{image.commands[0]!r}: {why}", reason=Reason.IMAGE_PULL_FAILED)
        return str(answer.image_id)

    def _secret(self, name: str) -> str:
        """One of Modal's own secrets."""
        request = api_pb2.SecretGetOrCreateRequest(
            deployment_name=name, environment_name=self._clients.environment
        )
        return str(self._clients.ask("SecretGetOrCreate", request).secret_id)

    def _ephemeral(self, app: str, contents: Mapping[str, str]) -> str:
        request = api_pb2.SecretGetOrCreateRequest(
            object_creation_type=api_pb2.OBJECT_CREATION_TYPE_ANONYMOUS_OWNED_BY_APP,
            env_dict=dict(contents),
            app_id=app,
            environment_name=self._clients.environment,
        )
        return str(self._clients.ask("SecretGetOrCreate", request).secret_id)

    # -- observe, cancel -------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. One list of what runs per app, and one request for each attempt
        that is not in it."""
        size = max(1, len(jobs))
        return shared.observe_groups(
            jobs, _Place.parse, lambda place: place.app, self._observed, size
        )

    def _observed(self, group: Sequence[tuple[Watched, _Place]]) -> list[Observation]:
        with _translated():
            running = self._running(group[0][1].app, {place.id for _, place in group})
        return [self._observe(place, watched, running.get(place.id)) for watched, place in group]

    def _running(self, app: str, wanted: set[str]) -> dict[str, Any]:
        """The wanted sandboxes that run. A page ends where the next one begins; an empty one is
        the last. Raises what `Clients.ask` does."""
        found: dict[str, Any] = {}
        before = 0.0
        for _ in range(_PAGES):
            request = api_pb2.SandboxListRequest(app_id=app, before_timestamp=before)
            page = self._clients.ask("SandboxListV2", request).sandboxes
            found |= {sandbox.id: sandbox for sandbox in page if sandbox.id in wanted}
            if not page or len(found) == len(wanted):
                break
            before = page[-1].created_at
        return found

    def _observe(self, place: _Place, watched: Watched, listed: Any) -> Observation:
        seen = shared.unknown(watched)
        started = _milliseconds(listed.task_info.started_at) if listed is not None else None
        if listed is not None and not has_ended(listed.task_info.result):
            status = Status.RUNNING if started else Status.STARTING
            return replace(seen, status=status, started_at=started)
        request = api_pb2.SandboxWaitRequest(sandbox_id=place.id, timeout=0)
        try:
            with _translated():
                result = self._clients.ask(f"SandboxWait{place.version}", request).result
        except PlatformError as error:
            gone = isinstance(error.__cause__, grpc.RpcError) and REFUSALS.gone(error.__cause__)
            return (shared.lost if gone else shared.unknown)(watched, error.message)
        if has_ended(result):
            return ended_with(self._with_times(place, seen), result)
        return replace(seen, status=Status.STARTING)  # created a moment ago

    def _with_times(self, place: _Place, seen: Observation) -> Observation:
        """From when to when it ran: good to know, and only the list of ended sandboxes knows."""
        tag = api_pb2.SandboxTag(tag_name=RUN, tag_value=seen.run_id)
        request = api_pb2.SandboxListRequest(app_id=place.app, include_finished=True, tags=[tag])
        try:
            with _translated():
                listed = self._clients.ask("SandboxListV2", request).sandboxes
        except PlatformError:
            return seen
        task = next((sandbox.task_info for sandbox in listed if sandbox.id == place.id), None)
        if task is None:
            return seen
        started, finished = _milliseconds(task.started_at), _milliseconds(task.finished_at)
        return replace(seen, started_at=started, ended_at=finished)

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`. The process is killed."""
        if (place := shared.place_in(_Place.parse, handle)) is None:
            return
        request = api_pb2.SandboxTerminateRequest(sandbox_id=place.id)
        call = partial(self._clients.ask, f"SandboxTerminate{place.version}", request)
        with shared.asking(), _translated():
            REFUSALS.found(grpc.RpcError, call)

    # -- signing in, logs, cost ------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. The token of the sandboxes' API, and the name of the workspace."""
        with _translated(harmless=True):
            found = self._clients.sign_in()
        whom = f" as {found.username}" if found.username else ""
        return f"signed in to Modal{whom}, in the workspace {found.workspace_name}"

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs`. The last lines that Modal gives out at once."""
        if (place := shared.place_in(_Place.parse, handle)) is None:
            return
        request = api_pb2.AppFetchLogsRequest(
            app_id=place.app, sandbox_id=place.id, limit=_LOG_LINES
        )
        with _translated():
            batches = self._clients.ask("AppFetchLogs", request).batches
        items = sorted(
            (item for batch in batches for item in batch.items), key=lambda item: item.timestamp
        )
        yield from "".join(item.data for item in items).splitlines()

    #: See `EstimatesCost.estimate_cost`.
    estimate_cost = staticmethod(estimate)


#: Around what asks Modal.
_translated = partial(REFUSALS.translated, grpc.RpcError)


def _milliseconds(seconds: float) -> int | None:
    return round(seconds * 1000) if seconds else None
