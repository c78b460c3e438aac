"""How are attempts started, watched and stopped on Coiled?

A batch job does nothing until a cluster is created for it. The cluster has the attempt's name, and
Coiled answers with the cluster that is there if one of the name runs. Its own client then deletes
that one; this one adopts it.

    DASK_COILED__TOKEN      the API token, or
    PUSH_DISPATCH_COILED_TOKEN_NAME   its name in the secret store
    DASK_COILED__WORKSPACE  for templates that name none
    DASK_COILED__SERVER     replaces https://cloud.coiled.io
    PUSH_DISPATCH_COILED_BACKEND      the workspace's cloud, where templates ask for CPUs or memory
                            instead of machines: aws (the default), gcp or azure
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote

from push_dispatch.core.model import Observation
from push_dispatch.platforms import shared
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.coiled.machines import chosen, query_for
from push_dispatch.platforms.coiled.refusal import REFUSALS
from push_dispatch.platforms.coiled.request import MARK, cluster_for, job_for, software_for
from push_dispatch.platforms.coiled.verdict import read
from push_dispatch.platforms.rest import Reply, Rest, answered, found
from push_dispatch.ports.secrets import NO_SECRETS, Secrets

__all__ = ["Coiled"]

#: The newest jobs of a workspace in which an ended attempt is looked for.
_RECENT = "200"
#: Pages of the list of machines that are read at most.
_PAGES = 20
_CLOUDS = ("aws", "gcp", "azure")


@dataclass(frozen=True, slots=True)
class _Place(shared.Place):
    """A cluster."""

    FORM = "{workspace}/clusters/{id}"
    workspace: str
    id: str

    @property
    def path(self) -> str:
        return f"{_clusters(self.workspace)}id/{self.id}"


class Coiled:
    """Coiled: one batch job with one cluster of one machine per attempt, which Coiled removes."""

    name: ClassVar[str] = "coiled"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]

    def __init__(self, environ: Mapping[str, str], secrets: Secrets = NO_SECRETS) -> None:
        self._environ = environ
        self._secrets = secrets
        self._machines: dict[str, list[str]] = {}

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. The last of its five requests starts it."""
        with shared.building():
            workspace, cloud = self._workspace(job), self._cloud
            spec = job_for(job, workspace, shared.secret_values(job))
            cluster_for(job, 0, "", None)  # what cannot be one is refused before anything is asked
        api, machines = self._api, self._machines_for(job)
        if (there := self.find(job)) is not None:
            return there
        software = job.configuration.get("software") or self._dask(workspace, job)
        # The body is compressed and not said to be so: that is what this address takes.
        body = gzip.compress(json.dumps(spec).encode(), mtime=0)
        made = answered(api.call("POST", "/api/v2/jobs/compressed", body=body), REFUSALS.error)
        cluster = cluster_for(job, made["id"], software, machines, cloud)
        created = answered(api.call("POST", _clusters(workspace), body=cluster), REFUSALS.error)
        return str(_Place(workspace, str(created["id"])))

    def find(self, job: Job) -> str | None:
        """See `FindsByName`. Running clusters by name, ended ones among the newest jobs."""
        workspace = self._workspace(job)
        by_name = self._call("GET", f"{_clusters(workspace)}name/{quote(job.name)}")
        if (running := found(by_name, REFUSALS)) is not None:
            return str(_Place(workspace, str(running["id"])))
        query = {"workspace": workspace, "limit": _RECENT}
        mark = f"{MARK}={job.name}"
        for item in self._get("/api/v2/jobs/", query).get("items", []):
            if item.get("cluster_id") and mark in str(item.get("user_command")).split():
                return str(_Place(workspace, str(item["cluster_id"])))
        return None

    def _dask(self, workspace: str, job: Job) -> str:
        """The software environment of the machine itself; created by its name, so once."""
        body = software_for(job.configuration)
        path = f"/api/v2/software-environment/account/{quote(workspace)}"
        answered(self._api.call("POST", path, body=body), REFUSALS.error)
        return str(body["name"])

    def _machines_for(self, job: Job) -> list[str] | None:
        if named := job.configuration.get("vm_types"):
            return [named] if isinstance(named, str) else list(named)
        if (query := query_for(job.configuration)) is None:
            return None
        query["backend_type"] = f"vm_{self._cloud}"
        key = json.dumps([query, bool(job.configuration.get("gpu"))], sort_keys=True)
        if key not in self._machines:
            listed = chosen(self._listed(query), job.configuration, self._cloud)
            if not listed:
                wanted = {k: job.configuration.get(k) for k in ("cpu", "memory", "gpu", "arm")}
                raise shared.invalid(
                    f"Coiled has no balanced machine with {wanted}: set both `cpu` and `memory` "
                    "for machines of other families, or the job variable `vm_types`"
                )
            self._machines[key] = listed
        return self._machines[key]

    def _listed(self, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        for page in range(1, _PAGES + 1):
            parameters = {**query, "page": str(page)}
            listed = self._get("/api/v1/vm-types/", parameters)
            yield from listed.get("results", [])
            if not listed.get("next"):
                return

    @property
    def _cloud(self) -> str:
        cloud = self._environ.get("PUSH_DISPATCH_COILED_BACKEND") or "aws"
        if cloud not in _CLOUDS:
            raise shared.not_configured(
                f"PUSH_DISPATCH_COILED_BACKEND is {cloud!r}: it must be aws, gcp or azure"
            )
        return cloud

    # -- observe, cancel -------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. One request each, several at once."""
        return shared.observe_each(jobs, _Place.parse, self._observe)

    def _observe(self, watched: Watched, place: _Place) -> Observation:
        jobs = found(self._call("GET", f"/api/v2/jobs/cluster/{place.id}"), REFUSALS)
        return shared.lost(watched) if jobs is None else read(jobs, shared.unknown(watched))

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`. The machine is taken away; the process has no time to clean up."""
        if (place := shared.place_in(_Place.parse, handle)) is None:
            return
        why = {"reason": "push-dispatch: cancelled"}
        found(self._call("DELETE", place.path, query=why), REFUSALS)

    # -- logs ------------------------------------------------------------------------------------

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs`. What the machine's log has of this job."""
        if (place := shared.place_in(_Place.parse, handle)) is None:
            return
        jobs = self._call("GET", f"/api/v2/jobs/cluster/{place.id}")
        if jobs.ok:
            for job in jobs.json[:1]:
                mark = f"__BATCH {job['id']}.0__"
                query = {"filter_pattern": mark}
                for event in _events(self._get(f"{place.path}/better-logs", query)):
                    yield str(event.get("message", "")).replace(mark, "", 1).strip("\r\n ")

    # -- signing in ------------------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. Who the token's user is, as Coiled's own client asks; and one job of the
        workspace, if the environment names it."""
        api = self._connected()
        user = answered(api.call("GET", "/api/v2/user/me"), REFUSALS.unstarted)
        whom = f"signed in to Coiled as {user.get('username')}"
        workspace = self._environ.get("DASK_COILED__WORKSPACE")
        if not workspace:
            return whom
        query = {"workspace": workspace, "limit": "1"}
        answered(api.call("GET", "/api/v2/jobs/", query=query), REFUSALS.unstarted)
        return f"{whom}, in the workspace {workspace}"

    # -- details ---------------------------------------------------------------------------------

    @cached_property
    def _api(self) -> Rest:
        return self._connected()

    def _connected(self) -> Rest:
        url = self._environ.get("DASK_COILED__SERVER") or "https://cloud.coiled.io"
        token = self._token()
        # Old tokens have no dash, and another scheme.
        scheme = "ApiToken" if "-" in token else "Token"
        return Rest(url, lambda: {"Authorization": f"{scheme} {token}"})

    def _token(self) -> str:
        if token := self._environ.get("DASK_COILED__TOKEN"):
            return token
        if not self._environ.get("PUSH_DISPATCH_COILED_TOKEN_NAME"):
            raise shared.no_credentials(
                "nothing says who this function is at Coiled: set PUSH_DISPATCH_COILED_TOKEN_NAME, "
                "or DASK_COILED__TOKEN"
            )
        return shared.secret_named(self._secrets, self._environ, "PUSH_DISPATCH_COILED_TOKEN_NAME")

    def _workspace(self, job: Job) -> str:
        named = job.configuration.get("workspace") or self._environ.get("DASK_COILED__WORKSPACE")
        if not named:
            raise shared.invalid("no workspace: set the job variable of this name")
        return str(named)

    def _call(self, method: str, path: str, *, query: Mapping[str, str] | None = None) -> Reply:
        """Raises Throttled or Uncertain, also when there are no credentials."""
        with shared.asking():
            return self._api.call(method, path, query=query)

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        return answered(self._call("GET", path, query=query), REFUSALS.uncertain)


def _clusters(workspace: str) -> str:
    return f"/api/v2/clusters/account/{quote(workspace)}/"


def _events(reply: Any) -> list[Mapping[str, Any]]:
    """In the order of their time."""
    found: Any = (
        reply.get("events") or reply.get("logs") or () if isinstance(reply, dict) else reply
    )
    return sorted(found, key=lambda event: event.get("timestamp", 0))
