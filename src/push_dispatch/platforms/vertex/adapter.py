"""How are attempts started, watched and stopped on Vertex AI?

Vertex AI gives ids itself and takes the same job twice, so a push looks for the attempt's labels
before it creates. Lists may lag behind: absence is trusted only once SETTLE_SECONDS have passed
since the claim.

    PUSH_DISPATCH_VERTEX_ENDPOINT   replaces https://REGION-aiplatform.googleapis.com
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from push_dispatch.core.errors import Uncertain
from push_dispatch.core.model import Observation
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.google import logging as google_logging
from push_dispatch.platforms.google.logging import LOGGING, LOGGING_DEFAULT
from push_dispatch.platforms.google.rest import Endpoint, GoogleRest
from push_dispatch.platforms.google.sign_in import SignIn
from push_dispatch.platforms.refusals import permissions
from push_dispatch.platforms.rest import Reply, answered, found
from push_dispatch.platforms.shared import (
    Remembered,
    asking,
    building,
    lost,
    observe_each,
    place_in,
    unknown,
)
from push_dispatch.platforms.vertex.cost import estimate
from push_dispatch.platforms.vertex.refusal import REFUSALS
from push_dispatch.platforms.vertex.request import Place, Region, body_for, labels_of, region_of
from push_dispatch.platforms.vertex.verdict import read
from push_dispatch.ports.secrets import NO_SECRETS, Secrets

__all__ = ["SETTLE_SECONDS", "Vertex"]

_ENDPOINT = "PUSH_DISPATCH_VERTEX_ENDPOINT"
#: How long after its claim an attempt that no list shows may still be there.
SETTLE_SECONDS = 60


class Vertex:
    """Google Vertex AI: one custom job per attempt. Ended jobs stay as history: they count
    against no quota.

    Reads from `environ` what `google_sign_in` lists, PUSH_DISPATCH_VERTEX_ENDPOINT,
    PUSH_DISPATCH_CLOUD_LOGGING_ENDPOINT, and GOOGLE_CLOUD_PROJECT for templates without a project.
    """

    name: ClassVar[str] = "vertex"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]
    #: What the function may do, as a custom role on the project.
    google_permissions: ClassVar[tuple[str, ...]] = permissions(name)

    def __init__(
        self,
        environ: Mapping[str, str],
        secrets: Secrets = NO_SECRETS,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._environ = environ
        self._clock = clock
        self._sign_in = SignIn(environ, secrets)
        self._project = environ.get("GOOGLE_CLOUD_PROJECT")
        self._apis = Remembered(self._api)

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. Two requests: a look, and the job."""
        with building("job_spec is no job of Vertex AI"):
            region, body = region_of(job, self._project), body_for(job)
        if (there := self._existing(region, job)) is not None:
            return there
        reply = self._apis[region.location].call("POST", f"/v1/{region}/customJobs", body=body)
        return str(Place.parse(answered(reply, REFUSALS.error)["name"]))

    def find(self, job: Job) -> str | None:
        """See `FindsByName`. Uncertain while a list may lag behind."""
        there = self._existing(region_of(job, self._project), job)
        if there is None and self._clock() - job.claimed_at / 1000 < SETTLE_SECONDS:
            raise Uncertain(f"{job.name} is not listed yet; lists lag behind")
        return there

    def _existing(self, region: Region, job: Job) -> str | None:
        wanted = " AND ".join(f'labels.{key}="{value}"' for key, value in labels_of(job).items())
        query = {"filter": wanted, "pageSize": "100"}
        reply = self._apis[region.location].call("GET", f"/v1/{region}/customJobs", query=query)
        listed = answered(reply, REFUSALS.uncertain).get("customJobs", [])
        return next((str(item["name"]) for item in listed), None)

    # -- observe, cancel -------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. One request each, several at once."""
        return observe_each(jobs, Place.parse, self._observe)

    def _observe(self, watched: Watched, place: Place) -> Observation:
        job = found(self._apis[place.location].call("GET", f"/v1/{place}"), REFUSALS)
        return lost(watched) if job is None else read(job, unknown(watched))

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`."""
        if (place := place_in(Place.parse, handle)) is None:
            return
        reply = self._ask(place.region, "POST", f"/v1/{place}:cancel")
        if reply.status == 400 and self._has_ended(place):
            return
        found(reply, REFUSALS)

    def _has_ended(self, place: Place) -> bool:
        reply = self._ask(place.region, "GET", f"/v1/{place}")
        return reply.ok and bool(reply.json.get("endTime"))

    def _ask(self, region: Region, method: str, path: str) -> Reply:
        """Raises Throttled or Uncertain, also when nobody may ask."""
        with asking():
            return self._apis[region.location].call(method, path)

    # -- signing in, logs, cost ------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. Only an access token: which project is to be asked, the jobs say."""
        return Endpoint(self._environ, self._sign_in, _ENDPOINT).signed_in()

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs`. Lines reach Cloud Logging some seconds after they are written."""
        if (place := place_in(Place.parse, handle)) is None:
            return iter(())
        logging = GoogleRest(Endpoint(self._environ, self._sign_in, LOGGING, LOGGING_DEFAULT))
        wanted = f'resource.type="ml_job" AND resource.labels.job_id="{place.id}"'
        return google_logging.lines(logging, place.region.project, wanted)

    #: See `EstimatesCost.estimate_cost`.
    estimate_cost = staticmethod(estimate)

    def _api(self, location: str) -> GoogleRest:
        default = f"https://{location}-aiplatform.googleapis.com"
        return GoogleRest(Endpoint(self._environ, self._sign_in, _ENDPOINT, default))
