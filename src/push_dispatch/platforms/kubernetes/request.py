"""Which Job object is made of a run's job configuration? A pure function.

The configuration has the shape of Prefect's kubernetes worker: a `job_manifest`, and beside it
`namespace`, `env`, `labels`, `annotations`, `command`. Whatever the manifest says stays, but for
what the promises of a platform need: the name, our labels, a life after the end that is long
enough for the name to outlive every retry, and one pod at a time.
"""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Job

__all__ = ["ATTEMPT", "START_SECONDS", "is_ours", "manifest_for", "read_secrets", "secret_for"]

#: Labels of the Job and its pods: what they are selected by, and whom they belong to.
ATTEMPT = "push-dispatch/attempt"
NUMBER = "push-dispatch/number"
MANAGED = "app.kubernetes.io/managed-by"
#: Annotations: a run's id may be longer than a label's value (63 characters).
RUN_ID = "push-dispatch/run-id"
#: How long a pod may wait in an error state, such as an image that cannot be pulled.
START_SECONDS = "push-dispatch/start-seconds"

#: A finished Job keeps its name for at least this long, so that a push that is repeated finds it.
_KEEP_SECONDS = 3600
#: As Prefect's pod_watch_timeout_seconds.
_START_SECONDS = 60


def manifest_for(job: Job) -> dict[str, Any]:
    """The Job to create. Raises Rejected (`template_invalid`) if none can be made of it."""
    configuration = job.configuration
    manifest = _manifest_of(configuration)
    _mark(manifest, job)
    spec = manifest.setdefault("spec", {})
    pod = _pod_of(spec)
    _one_pod_once(spec, pod)
    spec["ttlSecondsAfterFinished"] = max(spec.get("ttlSecondsAfterFinished") or 0, _KEEP_SECONDS)
    if job.timeout_seconds is not None:
        # The pod's deadline and not the Job's, which counts the wait for a node as well.
        pod["activeDeadlineSeconds"] = job.timeout_seconds
    container = _container_of(pod)
    plain = _environment(configuration.get("env"), container.get("env"))
    container["env"] = [entry for entry in plain if entry["name"] not in job.secrets] + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": job.name, "key": name}}}
        for name in job.secrets
    ]
    _command(container, configuration.get("command"))
    return manifest


def is_ours(manifest: Mapping[str, Any], job: Job) -> bool:
    """Whether a Job that exists under the name of `job` is that very attempt."""
    metadata = manifest.get("metadata") or {}
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return labels.get(ATTEMPT) == job.name and notes.get(RUN_ID) == job.run_id


def read_secrets(job: Job) -> dict[str, str]:
    """The values of the run's secrets. Raises Rejected (`secret_unavailable`)."""
    try:
        return {name: secret.read() for name, secret in job.secrets.items()}
    except KeyError as error:
        raise Rejected(f"secret {error} cannot be read", reason="secret_unavailable") from error


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
        raise _invalid("job_manifest is missing: it is the Job that is created")
    made = copy.deepcopy(dict(manifest))
    made.setdefault("apiVersion", "batch/v1")
    made.setdefault("kind", "Job")
    if made["kind"] != "Job":
        raise _invalid(f"job_manifest.kind is {made['kind']!r}: it must be Job")
    return made


def _mark(manifest: dict[str, Any], job: Job) -> None:
    """Name, namespace, labels and annotations, the latter two on the Job and on its pods."""
    configuration = job.configuration
    metadata = manifest["metadata"] = dict(manifest.get("metadata") or {})
    # A generated name would be a new Job each time that the request is repeated.
    metadata.pop("generateName", None)
    metadata["name"] = job.name
    metadata["namespace"] = metadata.get("namespace") or configuration.get("namespace") or "default"
    labels = {**(metadata.get("labels") or {}), **(configuration.get("labels") or {})}
    ours = {MANAGED: "push-dispatch", ATTEMPT: job.name, NUMBER: str(job.attempt)}
    metadata["labels"] = _slugs(labels) | {"push-dispatch/pool": _value(job.pool)} | ours
    notes = {**(metadata.get("annotations") or {}), **(configuration.get("annotations") or {})}
    wait = configuration.get("pod_watch_timeout_seconds", _START_SECONDS)
    metadata["annotations"] = {_key(key): str(value) for key, value in notes.items()} | {
        RUN_ID: job.run_id,
        START_SECONDS: str(wait),
    }
    template = manifest.setdefault("spec", {}).setdefault("template", {})
    pod = template["metadata"] = dict(template.get("metadata") or {})
    pod["labels"] = {**(pod.get("labels") or {}), **metadata["labels"]}
    pod["annotations"] = {**(pod.get("annotations") or {}), **metadata["annotations"]}


def _pod_of(spec: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = spec["template"].setdefault("spec", {})
    if not pod.get("containers"):
        raise _invalid("job_manifest.spec.template.spec.containers is empty")
    return pod


def _one_pod_once(spec: dict[str, Any], pod: dict[str, Any]) -> None:
    for field in ("parallelism", "completions"):
        # Prefect's manifest has these two in the pod, where the API server ignores them.
        spec.setdefault(field, pod.pop(field, 1))
    # The default of Kubernetes is 6: six starts of one attempt.
    spec.setdefault("backoffLimit", 0)
    # Without this a pod that is being evicted already has a successor beside it (since 1.29).
    spec.setdefault("podReplacementPolicy", "Failed")
    pod.setdefault("restartPolicy", "Never")


def _container_of(pod: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod["containers"][0]
    container.setdefault("name", "job")
    if not container.get("image"):
        raise _invalid("no image is given: set the job variable `image`")
    if resources := container.get("resources"):
        kept = {kind: amounts for kind, amounts in resources.items() if amounts}
        container["resources"] = kept
    return container


def _command(container: dict[str, Any], command: Any) -> None:
    """`args` of the manifest, else the command, so that the image's entrypoint stays."""
    arguments = container.get("args")
    if arguments is None and not container.get("command"):
        arguments = command
    if isinstance(arguments, str):
        arguments = _split(arguments)
    if arguments is None:
        container.pop("args", None)
    else:
        container["args"] = list(arguments)


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise _invalid(f"command {command!r} cannot be split: {error}") from error


def _environment(outer: Any, inner: Any) -> list[dict[str, Any]]:
    """Kubernetes' list of both environments; of one name the manifest's wins. Entries with
    `valueFrom` stay as they are, a value of None removes the name."""
    merged = {**_named(outer), **_named(inner)}
    return [entry for entry in merged.values() if entry.get("value", "") is not None]


def _named(env: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    if isinstance(env, Mapping):
        return {
            name: {"name": name, "value": None if value is None else str(value)}
            for name, value in env.items()
        }
    return {str(entry["name"]): dict(entry) for entry in env or []}


# -- labels -----------------------------------------------------------------------------------
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set


def _slugs(labels: Mapping[str, Any]) -> dict[str, str]:
    return {_key(key): _value(value) for key, value in labels.items()}


def _key(key: str) -> str:
    prefix, slash, name = str(key).rpartition("/")
    return prefix[:253] + slash + (_value(name) or "label")


def _value(value: Any) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", str(value))[:63].strip("-_.")


def _invalid(message: str) -> Rejected:
    return Rejected(message, reason="template_invalid")
