"""How does a run become a Kubernetes Job?

Four endpoints of the API server over plain HTTPS: the official client is 98 MB. A Job has the
attempt's deterministic name and keeps it for at least an hour after its end, so that creating it
twice is answered with `AlreadyExists`, and the one that is there is adopted.

The function needs, in the namespace of the jobs: jobs create, get, list, delete; pods list;
pods/log get; events list, which say why a pod is not made; and secrets create for runs that use
secrets.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from push_dispatch.core.errors import PlatformError, Rejected, Uncertain
from push_dispatch.platforms.base import Capabilities, Job, Observation, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.kubernetes.auth import access_to, own_reference, reference_for
from push_dispatch.platforms.kubernetes.pod import Pod, ends_of
from push_dispatch.platforms.kubernetes.refusal import REFUSALS
from push_dispatch.platforms.kubernetes.request import (
    ATTEMPT,
    is_ours,
    manifest_for,
    secret_for,
)
from push_dispatch.platforms.kubernetes.verdict import Stuck, is_waiting, read
from push_dispatch.platforms.rest import Reply, Rest, found
from push_dispatch.platforms.shared import (
    Place,
    Remembered,
    asking,
    building,
    no_credentials,
    observe_groups,
    place_in,
    secret_values,
    unknown,
)

__all__ = ["Kubernetes"]

#: Names in one list request: 50 of them make a URL of some 3 KB.
_NAMES = 50
_PAGE = "500"


class Kubernetes:
    """Starts, watches and stops Jobs in any cluster that the environment has credentials for."""

    name: ClassVar[str] = "kubernetes"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]
    #: Into a Secret that the Job owns: a manifest can be read by whoever may look at pods.

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._clusters: Remembered[str, Rest] = Remembered(
            lambda reference: _connected(reference, environ)
        )

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. One request; a second one to adopt what is there."""
        with building():
            where = self._place(job)
            values = secret_values(job)
            manifest = manifest_for(job)
        reply = self._clusters[where.cluster].call("POST", where.jobs, body=manifest)
        if reply.ok:
            self._bring(where, job, reply.json, values)
            return str(where)
        if not REFUSALS.exists(reply):
            raise REFUSALS.error(reply, f"{where}: ")
        there = self._adopt(where, job, values)
        if there is None:
            raise Uncertain(f"{where} exists and cannot be found: it is being deleted")
        return there

    def find(self, job: Job) -> str | None:
        """See `FindsByName`."""
        with asking():
            with building():
                where, values = self._place(job), secret_values(job)
            return self._adopt(where, job, values)

    def _adopt(self, where: _Place, job: Job, values: Mapping[str, str]) -> str | None:
        there = self._get(where)
        if there is None:
            return None
        if not is_ours(there, job):
            raise Rejected(f"{where} is another owner's Job: delete or rename it")
        if not ends_of(there):
            self._bring(where, job, there, values)
        return str(where)

    def _bring(
        self, where: _Place, job: Job, created: Mapping[str, Any], values: Mapping[str, str]
    ) -> None:
        """The secrets that the Job's pod waits for. The Job comes first and owns them, so that
        whatever deletes the Job deletes them too."""
        if not values:
            return
        body = secret_for(job, created, values)
        reply = self._clusters[where.cluster].call("POST", where.path("secrets"), body=body)
        if reply.ok or REFUSALS.exists(reply):
            return
        error = REFUSALS.error(reply, f"{where}: ")
        if isinstance(error, Rejected):
            # Its pod cannot start without them. Its status has moved since, so by its uid alone.
            self._delete(where, {"metadata": {"uid": created["metadata"]["uid"]}})
        raise error

    def _place(self, job: Job) -> _Place:
        metadata = (job.configuration.get("job_manifest") or {}).get("metadata") or {}
        namespace = metadata.get("namespace") or job.configuration.get("namespace") or "default"
        return _Place(reference_for(job.configuration, self._environ), namespace, job.name)

    # -- observe ---------------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. Two lists per namespace and 50 attempts: Jobs and pods."""
        return observe_groups(
            jobs,
            _Place.parse,
            lambda place: (place.cluster, place.namespace),
            self._observe,
            _NAMES,
        )

    def _observe(self, group: Sequence[tuple[Watched, _Place]]) -> list[Observation]:
        """Attempts of one namespace."""
        where = group[0][1]
        selector = f"{ATTEMPT} in ({','.join(place.name for _, place in group)})"
        cluster = self._clusters[where.cluster]
        listed = _list(cluster, where.jobs, labelSelector=selector)
        jobs = {item["metadata"]["name"]: item for item in listed}
        pods = defaultdict(list)
        for pod in _list(cluster, where.path("pods"), labelSelector=selector):
            pods[pod["metadata"]["labels"][ATTEMPT]].append(pod)
        return [
            self._read(watched, place, jobs.get(place.name), pods[place.name])
            for watched, place in group
        ]

    def _read(
        self,
        watched: Watched,
        place: _Place,
        job: Mapping[str, Any] | None,
        pods: Sequence[Mapping[str, Any]],
    ) -> Observation:
        try:
            # The list goes by a label that somebody may have removed: the name is certain.
            job = job or self._get(place)
            now = time.time()
            events = self._events(place, job, pods) if is_waiting(job, pods, now) else ()
            seen = read(watched, job, pods, now, events)
            if isinstance(seen, Stuck):
                # It would wait for its image for ever, and start if that came: it ends now.
                self._delete(place, job or {})
                return seen.observation
        except PlatformError as error:
            return unknown(watched, error.message)
        return seen

    def _events(
        self, place: _Place, job: Mapping[str, Any] | None, pods: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return what the cluster says of the pod, or of the Job that has none. Nothing if that
        may not be read: then nobody knows why it waits."""
        pod = Pod.of(job, pods)
        metadata = ((pod.shown if pod else job) or {}).get("metadata") or {}
        try:
            cluster = self._clusters[place.cluster]
            return _list(
                cluster,
                place.path("events"),
                fieldSelector=f"involvedObject.uid={metadata.get('uid')}",
            )
        except PlatformError:
            return []

    def _get(self, place: _Place) -> Mapping[str, Any] | None:
        reply = self._clusters[place.cluster].call("GET", place.job)
        job: Mapping[str, Any] | None = found(reply, REFUSALS, f"{place}: ")
        return job

    # -- cancel ----------------------------------------------------------------------------------

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`. The pod gets SIGTERM and its grace period, in the background; a
        Job that has ended stays as it is."""
        if (place := place_in(_Place.parse, handle)) is None:
            return
        with asking():
            job = self._get(place)
            if job is not None and not ends_of(job):
                self._delete(place, job)

    def _delete(self, place: _Place, job: Mapping[str, Any]) -> None:
        """Delete the Job as it was read. Raises Uncertain if it has changed since: it may have
        ended, and how it ended must not be lost."""
        metadata = job.get("metadata") or {}
        read_at = {key: metadata[key] for key in ("uid", "resourceVersion") if key in metadata}
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": read_at,
        }
        reply = self._clusters[place.cluster].call("DELETE", place.job, body=options)
        found(reply, REFUSALS, f"{place}: ")

    # -- logs ------------------------------------------------------------------------------------

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs`. Of the newest pod; nothing once Job and pod are deleted."""
        if (place := place_in(_Place.parse, handle)) is None:
            return
        cluster = self._clusters[place.cluster]
        pod = Pod.of(
            None, _list(cluster, place.path("pods"), labelSelector=f"{ATTEMPT}={place.name}")
        )
        if pod is None:
            return
        path = place.path(f"pods/{quote(pod.shown['metadata']['name'])}/log")
        lines = cluster.lines(path, {"container": pod.own})
        if not isinstance(lines, Reply):
            yield from lines
        elif lines.status not in {400, 404}:  # 400: it waits to start
            raise REFUSALS.uncertain(lines, f"{place}: ")

    # -- clusters --------------------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. Asks the cluster of jobs that name none what batch/v1 is: whoever is known
        may, nobody else (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#discovery-roles).
        """
        reference = own_reference(self._environ)
        if reference is None:
            return (
                "nothing to check: neither PUSH_DISPATCH_KUBERNETES_CLUSTER nor a kubeconfig names "
                "a cluster, so that each job has to"
            )
        try:
            cluster = _connected(reference, self._environ)
            reply = cluster.call("GET", "/apis/batch/v1")
        except (OSError, ValueError) as error:  # a token or a certificate that cannot be read
            raise no_credentials(f"{reference}: {error}") from error
        if not reply.ok:
            raise REFUSALS.unstarted(reply, f"{reference}: ")
        return f"signed in to the cluster {reference} at {cluster.base_url}"


@dataclass(frozen=True, slots=True)
class _Place(Place):
    """Where a Job is: the cluster (a context) may have slashes in it."""

    FORM = "{cluster}/{namespace}/{name}"
    cluster: str
    namespace: str
    name: str

    @property
    def jobs(self) -> str:
        return self.path("jobs", "/apis/batch/v1")

    @property
    def job(self) -> str:
        return f"{self.jobs}/{quote(self.name, safe='')}"

    def path(self, kind: str, api: str = "/api/v1") -> str:
        """Of the objects of a kind in the namespace, such as `pods`."""
        return f"{api}/namespaces/{quote(self.namespace, safe='')}/{kind}"


def _connected(reference: str, environ: Mapping[str, str]) -> Rest:
    access = access_to(reference, environ)

    def headers() -> dict[str, str]:
        token = access.token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    return Rest(access.server, headers, access.tls, access.server_hostname)


def _list(cluster: Rest, path: str, **selector: str) -> list[dict[str, Any]]:
    """All pages; a page that has expired (410) is Uncertain, like every other refusal."""
    items: list[dict[str, Any]] = []
    query = {**selector, "limit": _PAGE}
    while True:
        reply = cluster.call("GET", path, query=query)
        if not reply.ok:
            raise REFUSALS.uncertain(reply, f"{path}: ")
        items += reply.json.get("items") or []
        following = (reply.json.get("metadata") or {}).get("continue")
        if not following:
            return items
        query = {**query, "continue": following}
