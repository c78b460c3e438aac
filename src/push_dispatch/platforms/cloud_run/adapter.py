"""How are attempts started, watched and stopped on Google Cloud Run?

One request creates a job that is named after the attempt and starts its one execution, whose name
is known beforehand: Cloud Run refuses the same name twice, so an attempt is started once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from google.api_core import exceptions as sdk
from google.cloud import run_v2
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]

from push_dispatch.core.errors import Rejected
from push_dispatch.core.model import Observation
from push_dispatch.platforms import shared
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.cloud_run.clients import Clients
from push_dispatch.platforms.cloud_run.cost import estimate
from push_dispatch.platforms.cloud_run.listing import executions_of
from push_dispatch.platforms.cloud_run.refusal import REFUSALS, translated
from push_dispatch.platforms.cloud_run.request import ATTEMPT, RUN, Place, body_for, place_of
from push_dispatch.platforms.cloud_run.verdict import needs_tasks, read, without_execution
from push_dispatch.platforms.google import logging
from push_dispatch.platforms.refusals import permissions
from push_dispatch.platforms.rest import READ_SECONDS
from push_dispatch.ports.secrets import NO_SECRETS, Secrets

__all__ = ["CloudRun"]

#: From so many attempts of one region on, its executions are listed first.
_MANY = 9


class CloudRun:
    """Google Cloud Run: one job with one execution per attempt.

    Reads from `environ` what `clients` and `google_sign_in` list, and GOOGLE_CLOUD_PROJECT, for
    templates that name no project. Ended jobs count against a quota of 1000 per region.
    """

    name: ClassVar[str] = "cloud-run"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]
    #: What the function may do, as a custom role on the project.
    google_permissions: ClassVar[tuple[str, ...]] = permissions(name)

    def __init__(
        self,
        environ: Mapping[str, str],
        secrets: Secrets = NO_SECRETS,
        *,
        clock: Callable[[], float] = time.time,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._clients = Clients(environ, secrets, read_seconds, clock)
        self._project = environ.get("GOOGLE_CLOUD_PROJECT")

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. One request, and a second one if the job is there already."""
        with shared.building("job_body is no job of Cloud Run"):
            place = place_of(job, self._project)
            request = run_v2.CreateJobRequest(
                parent=place.parent, job_id=place.name, job=_job(body_for(job))
            )
        with translated():
            try:
                # What it returns is a long-running operation, which is left to itself.
                self._clients.ask("jobs", "create_job", request)
            except sdk.Conflict as error:
                if REFUSALS.exists(error) and (found := self._adopt(place, job)):
                    return found
                raise
        return str(place)

    def find(self, job: Job) -> str | None:
        """See `FindsByName`."""
        with shared.asking(), translated():
            return self._adopt(place_of(job, self._project), job)

    def _adopt(self, place: Place, job: Job) -> str | None:
        """The handle if the job is there: its execution is started with it."""
        found = self._job(place)
        if found is None:
            return None
        if (found.annotations.get(RUN), found.annotations.get(ATTEMPT)) != (
            job.run_id,
            str(job.attempt),
        ):
            raise Rejected(f"{place.job} is another owner's job: delete or rename it")
        return str(place)

    def _job(self, place: Place) -> run_v2.Job | None:
        request = run_v2.GetJobRequest(name=place.job)
        found: run_v2.Job | None = self._found("jobs", "get_job", request)
        return found

    def _execution(self, place: Place) -> run_v2.Execution | None:
        request = run_v2.GetExecutionRequest(name=str(place))
        found: run_v2.Execution | None = self._found("executions", "get_execution", request)
        return found

    def _found(self, service: str, method: str, request: Any) -> Any:
        """The answer; None if what is asked about is not there (any more)."""
        try:
            return self._clients.ask(service, method, request)
        except sdk.NotFound:
            return None

    # -- observe ---------------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. One list per region for many, one request each for few; one more
        for an attempt that has failed or whose execution is not there."""
        listed: Mapping[str, run_v2.Execution] = {}
        if len(jobs) >= _MANY:
            places, _ = shared.parsed(jobs, Place.parse)
            listed = executions_of(self._clients, {place.parent for _, place in places})

        def observe(watched: Watched, place: Place) -> Observation:
            with translated():
                return self._see(place, watched, listed.get(place.execution_id))

        return shared.observe_each(jobs, Place.parse, observe)

    def _see(self, place: Place, watched: Watched, listed: run_v2.Execution | None) -> Observation:
        execution, seen = listed or self._execution(place), shared.unknown(watched)
        if execution is None:
            job = self._job(place)
            return shared.lost(watched) if job is None else without_execution(job, seen)
        return read(execution, self._tasks(execution) if needs_tasks(execution) else (), seen)

    def _tasks(self, execution: run_v2.Execution) -> Sequence[run_v2.Task]:
        request = run_v2.ListTasksRequest(parent=execution.name, page_size=100)
        listed = self._found("tasks", "list_tasks", request)  # None: cleaned up meanwhile
        return list(next(iter(listed.pages)).tasks) if listed else ()

    # -- cancel, clean up ------------------------------------------------------------------------

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`. A job whose execution is not there yet is deleted, so that it is
        never started."""
        if (place := shared.place_in(Place.parse, handle)) is None:
            return
        with shared.asking(), translated():
            try:
                request = run_v2.CancelExecutionRequest(name=str(place))
                self._clients.ask("executions", "cancel_execution", request)
            except sdk.NotFound:
                self._delete(place)
            except sdk.FailedPrecondition:
                if not self._has_ended(place):
                    raise

    def _has_ended(self, place: Place) -> bool:
        execution = self._execution(place)
        return execution is None or bool(execution.completion_time)

    def clean_up(self, handle: str) -> None:
        """See `CleansUp`. The log stays for as long as Cloud Logging keeps it."""
        if (place := shared.place_in(Place.parse, handle)) is None:
            return
        with shared.asking(), translated():
            self._delete(place)

    def _delete(self, place: Place) -> None:
        self._found("jobs", "delete_job", run_v2.DeleteJobRequest(name=place.job))

    # -- signing in, logs, cost ------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. Only an access token: which project is to be asked, the jobs say."""
        return self._clients.signed_in()

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs`. Lines reach Cloud Logging some seconds after they are written."""
        if (place := shared.place_in(Place.parse, handle)) is None:
            return iter(())
        return logging.lines(self._clients.logging, place.project, place.log_filter)

    #: See `EstimatesCost.estimate_cost`.
    estimate_cost = staticmethod(estimate)


def _job(body: Mapping[str, Any]) -> run_v2.Job:
    """The SDK's message. Raises Rejected (`template_invalid`), naming the field."""
    try:
        job: run_v2.Job = run_v2.Job.from_json(json.dumps(body), ignore_unknown_fields=False)
    except (ParseError, TypeError, ValueError) as error:
        raise shared.invalid(f"job_body is no job of Cloud Run: {error}") from None
    return job
