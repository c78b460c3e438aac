"""Which Job object is made of a run's job configuration? A pure function.

The configuration has the shape of Prefect's kubernetes worker: a `job_manifest`, and beside it
`namespace`, `env`, `labels`, `annotations`, `command`. Whatever the manifest says stays, but for
what the promises of a platform need: the name, our labels, a life after the end that is long
enough for the name to outlive every retry, and one pod at a time.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from push_dispatch.platforms.base import Job
from push_dispatch.platforms.shared import invalid, merged_env, texts, words

__all__ = [
    "ATTEMPT",
    "CONTAINERS",
    "START_SECONDS",
    "is_ours",
    "manifest_for",
    "secret_for",
]

#: Labels of the Job and its pods: what they are selected by, and whom they belong to.
ATTEMPT = "push-dispatch/attempt"
NUMBER = "push-dispatch/number"
MANAGED = "app.kubernetes.io/managed-by"
#: Annotations: a run's id may be longer than a label's value (63 characters).
RUN_ID = "push-dispatch/run-id"
#: How long a pod may wait in an error state, such as an image that cannot be pulled.
START_SECONDS = "push-dispatch/start-seconds"
#: Names of the containers that were asked for, that of the command first. Webhooks put others into
#: the pod, in front of them too.
CONTAINERS = "push-dispatch/containers"

#: A finished Job keeps its name for at least this long, so that a push that is repeated finds it.
_KEEP_SECONDS = 3600
#: As Prefect's pod_watch_timeout_seconds.
_START_SECONDS = 60


def manifest_for(job: Job) -> dict[str, Any]:
    """Return the Job to create. Raises Rejected (`template_invalid`) if none can be made of it."""
    configuration = job.configuration
    manifest = _manifest_of(configuration)
    spec = manifest.setdefault("spec", {})
    pod = spec.setdefault("template", {}).setdefault("spec", {})
    container = _container_of(pod, configuration)
    _mark(manifest, job, [container, *(c for c in pod["containers"] if c is not container)])
    _one_pod_once(spec, pod)
    spec["ttlSecondsAfterFinished"] = max(spec.get("ttlSecondsAfterFinished") or 0, _KEEP_SECONDS)
    if job.timeout_seconds is not None:
        # The pod's deadline and not the Job's, which counts the wait for a node as well.
        pod["activeDeadlineSeconds"] = job.timeout_seconds
    _fill(container, job)
    for other in [*pod["containers"], *(pod.get("initContainers") or [])]:
        _complete(other)
    return manifest


def is_ours(manifest: Mapping[str, Any], job: Job) -> bool:
    """Whether a Job that exists under the name of `job` is that very attempt."""
    metadata = manifest.get("metadata") or {}
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return labels.get(ATTEMPT) == job.name and notes.get(RUN_ID) == job.run_id


def secret_for(job: Job, created: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The Secret with these values that belongs to the Job as it was created."""
    metadata = created["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": job.name,
            "labels": {MANAGED: "push-dispatch", ATTEMPT: job.name},
            "ownerReferences": [owner],
        },
        "immutable": True,
        "stringData": dict(values),
    }


# -- parts of the manifest --------------------------------------------------------------------


def _manifest_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    manifest = configuration.get("job_manifest")
    if not isinstance(manifest, Mapping):
        raise invalid("job_manifest is missing: it is the Job that is created")
    made = copy.deepcopy(dict(manifest))
    made.setdefault("apiVersion", "batch/v1")
    made.setdefault("kind", "Job")
    if made["kind"] != "Job":
        raise invalid(f"job_manifest.kind is {made['kind']!r}: it must be Job")
    return made


def _mark(manifest: dict[str, Any], job: Job, containers: Sequence[Mapping[str, Any]]) -> None:
    """Name, namespace, labels and annotations, the latter two on the Job and on its pods."""
    configuration = job.configuration
    metadata = manifest["metadata"] = dict(manifest.get("metadata") or {})
    # A generated name would be a new Job each time that the request is repeated.
    metadata.pop("generateName", None)
    metadata["name"] = job.name
    metadata["namespace"] = metadata.get("namespace") or configuration.get("namespace") or "default"
    labels, notes = (
        texts(metadata.get(key), f"job_manifest.metadata.{key}")
        | texts(configuration.get(key), key)
        for key in ("labels", "annotations")
    )
    ours = {MANAGED: "push-dispatch", ATTEMPT: job.name, NUMBER: str(job.attempt)}
    slugs = {_key(key): _value(value) for key, value in labels.items()}
    metadata["labels"] = slugs | {"push-dispatch/pool": _value(job.pool)} | ours
    wait = configuration.get("pod_watch_timeout_seconds", _START_SECONDS)
    metadata["annotations"] = {_key(key): value for key, value in notes.items()} | {
        RUN_ID: job.run_id,
        START_SECONDS: str(wait),
        CONTAINERS: ",".join(str(container["name"]) for container in containers),
    }
    template = manifest.setdefault("spec", {}).setdefault("template", {})
    pod = template["metadata"] = dict(template.get("metadata") or {})
    for key in ("labels", "annotations"):
        pod[key] = {**(pod.get(key) or {}), **metadata[key]}


def _one_pod_once(spec: dict[str, Any], pod: dict[str, Any]) -> None:
    for field in ("parallelism", "completions"):
        # Prefect's manifest has these two in the pod, where the API server ignores them.
        spec.setdefault(field, pod.pop(field, 1))
    # The default of Kubernetes is 6: six starts of one attempt.
    spec.setdefault("backoffLimit", 0)
    # Without this a pod that is being evicted already has a successor beside it (since 1.29).
    spec.setdefault("podReplacementPolicy", "Failed")
    pod.setdefault("restartPolicy", "Never")


def _container_of(pod: dict[str, Any], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the container for the command: the one that the template puts command or environment
    into, else the first."""
    containers: Any = pod.get("containers")
    where = "job_manifest.spec.template.spec.containers"
    if not containers:
        raise invalid(f"{where} is empty")
    if not isinstance(containers, list) or not all(isinstance(c, dict) for c in containers):
        raise invalid(f"{where} is not a list of objects")
    command = configuration.get("command")
    filled = [c for c in containers if command and command in (c.get("args"), c.get("command"))]
    # An object where Kubernetes has a list can only come from the job's variables.
    filled += [c for c in containers if isinstance(c.get("env"), Mapping)]
    container: dict[str, Any] = next(iter(filled), containers[0])
    container.setdefault("name", "job")
    unnamed = next((n for n, c in enumerate(containers) if not c.get("name")), None)
    if unnamed is not None:
        raise invalid(f"{where}[{unnamed}].name is not set")
    if not container.get("image"):
        raise invalid("no image is given: set the job variable `image`")
    if resources := container.get("resources"):
        kept = {kind: amounts for kind, amounts in resources.items() if amounts}
        container["resources"] = kept
    return container


def _fill(container: dict[str, Any], job: Job) -> None:
    """Put command, environment and secrets in: the command becomes `args`, unless the manifest has
    its own, so that the image's entrypoint stays."""
    command = job.configuration.get("command")
    if container.get("args") is None and not container.get("command"):
        container["args"] = command
    merged = merged_env(container.get("env"), job.configuration.get("env"))
    plain = [entry for name, entry in merged.items() if name not in job.secrets]
    container["env"] = plain + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": job.name, "key": name}}}
        for name in job.secrets
    ]


def _complete(container: dict[str, Any]) -> None:
    """Bring environment and commands into the types of the API."""
    if container.get("env") is not None:
        container["env"] = list(merged_env(container["env"], None).values())
    for key in ("command", "args"):
        if container.get(key) is None:
            container.pop(key, None)
        else:
            container[key] = words(container[key], key)


# -- labels -----------------------------------------------------------------------------------
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set


def _key(key: str) -> str:
    """A prefix is a DNS name: no capitals, no underscores."""
    prefix, slash, name = str(key).rpartition("/")
    domain = re.sub(r"[^a-z0-9.-]+", "-", _ascii(prefix).lower())[:253].strip("-.")
    return (domain + slash if domain else "") + (_value(name) or "label")


def _value(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", _ascii(value))[:63].strip("-_.")


def _ascii(text: str) -> str:
    """Letters without their accents, which Kubernetes does not take."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
