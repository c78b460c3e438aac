"""How are attempts started, watched and stopped on Azure Container Instances?

Creating a container group that exists is not refused: it restarts a running one, and runs one that
has finished again. So the adapter looks first, and sends the one PUT only when there is nothing;
two pushes of one attempt at the same moment are kept apart by the run's claim. (Source:
https://learn.microsoft.com/azure/container-instances/container-instances-update)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from push_dispatch.core.errors import Rejected, Throttled
from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms import shared
from push_dispatch.platforms.aci.clients import Clients
from push_dispatch.platforms.aci.cost import estimate
from push_dispatch.platforms.aci.refusal import REFUSALS, translated
from push_dispatch.platforms.aci.request import (
    ATTEMPT,
    RUN,
    Place,
    group_for,
    main_container,
    place_of,
)
from push_dispatch.platforms.aci.sign_in import whom
from push_dispatch.platforms.aci.verdict import Seen, read
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.refusals import permissions
from push_dispatch.platforms.rest import READ_SECONDS
from push_dispatch.ports.secrets import NO_SECRETS, Secrets

__all__ = ["Aci"]


class Aci:
    """Azure Container Instances: one container group per attempt.

    Reads from `environ` what `sign_in` and `clients` list. Give each pool a resource group of its
    own: whoever may create container groups in it may also delete all of them.
    """

    name: ClassVar[str] = "aci"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]
    #: What the application may do, as a custom role on the resource group.
    azure_actions: ClassVar[tuple[str, ...]] = permissions(name)

    def __init__(
        self,
        environ: Mapping[str, str],
        secrets: Secrets = NO_SECRETS,
        *,
        clock: Callable[[], float] = time.time,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._environ = environ
        self._clients = Clients(environ, secrets, read_seconds)
        self._clock = clock

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. Two requests; one more for the first job of a resource group whose
        location the template does not name."""
        with shared.building():
            place = place_of(job)
            group = group_for(job, shared.secret_values(job))
        with translated():
            if found := self._adopt(place, job):
                return found
            if "location" not in group:
                location = self._clients.locations[place.subscription, place.resource_group]
                group = {"location": location, **group}
            return self._create(place, job, group)

    def _create(self, place: Place, job: Job, group: Mapping[str, Any]) -> str:
        # As bytes: through the SDK's models a template would lose what they do not know.
        body: Any = json.dumps(group).encode()
        try:
            self._clients.of_groups(
                place,
                "begin_create_or_update",
                body,
                content_type="application/json",
                polling=False,
            )
        except ResourceExistsError as error:
            if REFUSALS.exists(error) and (found := self._adopt(place, job)):
                return found
            raise
        return str(place)

    def find(self, job: Job) -> str | None:
        """See `FindsByName`."""
        with shared.asking(), translated():
            return self._adopt(place_of(job), job)

    def _adopt(self, place: Place, job: Job) -> str | None:
        found = self._get(place)
        if found is None:
            return None
        tags = found.get("tags") or {}
        if (tags.get(RUN), tags.get(ATTEMPT)) != (job.run_id, str(job.attempt)):
            raise Rejected(f"{place} is another owner's container group: delete or rename it")
        return str(place)

    def _get(self, place: Place) -> Mapping[str, Any] | None:
        """None if the group does not exist, or not even its resource group."""
        groups = self._clients.of_groups
        return REFUSALS.found(ResourceNotFoundError, lambda: groups(place, "get", cls=_json))

    # -- observe ---------------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. One request per attempt: a list would lack the states."""
        return shared.observe_each(jobs, Place.parse, self._observe)

    def _observe(self, watched: Watched, place: Place) -> Observation:
        with translated():
            seen = self._see(place, watched)
            if seen is not None and seen.restless:
                self._halt(place)
        return seen.observation if seen else shared.lost(watched)

    def _see(self, place: Place, watched: Watched) -> Seen | None:
        group = self._get(place)
        return None if group is None else read(group, watched, self._clock())

    # -- cancel, clean up ------------------------------------------------------------------------

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`. A group whose process has ended is left alone, so that how it
        ended stays known; one that is still being created is deleted."""
        if (place := shared.place_in(Place.parse, handle)) is None:
            return
        with shared.asking(), translated():
            seen = self._see(place, Watched(handle, "", 0))
            if seen is None or (seen.observation.status is Status.ENDED and not seen.restless):
                return
            self._halt(place)

    def _halt(self, place: Place) -> None:
        """Stop the group, so that its log can still be read; if it cannot be stopped now, delete
        it."""
        try:
            self._clients.of_groups(place, "stop")
        except ResourceNotFoundError:
            return
        except ResourceExistsError:
            self._delete(place)

    def clean_up(self, handle: str) -> None:
        """See `CleansUp`. Ended groups count against a quota of 100 until they are deleted."""
        if (place := shared.place_in(Place.parse, handle)) is None:
            return
        with shared.asking(), translated():
            self._delete(place)

    def _delete(self, place: Place) -> None:
        try:
            self._clients.of_groups(place, "begin_delete", polling=False)
        except ResourceNotFoundError:
            return
        except ResourceExistsError as error:
            if not REFUSALS.exists(error):
                raise
            raise Throttled(f"{place} is being changed", after_seconds=10) from error

    # -- signing in, logs, cost ------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. Only an access token: which subscription is to be asked, the jobs say."""
        with translated():
            self._clients.sign_in()
        return f"signed in to Azure as the application {whom(self._environ)}"

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs`. Azure keeps 4 MB while the process runs, the last 16 KB or 1000 lines
        once the group is stopped, and nothing once it is deleted."""
        if (place := shared.place_in(Place.parse, handle)) is None:
            return
        content = ""
        with shared.asking(), translated():
            content = self._content(place)
        lines = content.split("\n")
        if lines[-1] == "":
            del lines[-1]
        yield from (line.removesuffix("\r") for line in lines)

    def _content(self, place: Place) -> str:
        group = self._get(place)
        if group is None:
            return ""
        container = str(main_container(group)["name"])
        try:
            logs = self._clients.ask(
                place.subscription,
                lambda client: client.containers.list_logs(
                    place.resource_group, place.name, container
                ),
            )
        except (ResourceNotFoundError, ResourceExistsError):
            return ""  # deleted since, or not started yet
        return logs.content or ""

    #: See `EstimatesCost.estimate_cost`.
    estimate_cost = staticmethod(estimate)


def _json(response: Any, _model: object, _headers: object) -> Any:
    """What the SDK is to return: its models have no types for what Azure alone may write."""
    return json.loads(response.http_response.text())
