"""Shape: what a job configuration must look like, whatever its template is.

A template may say anything; platforms take some of it as texts, lists and objects. What has another
shape would fail when the run is about to start, so it is refused when the pool, the deployment or
the run is made, with the path of the field. A table, by the keys that name a platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from push_dispatch.core.secret_references import split

__all__ = ["dangling", "misshapen"]

#: A leaf says what is wrong with a value, or nothing. A key that ends with `!` must be there.
Leaf = Callable[[Any], str | None]
Shape = Leaf | list[Any] | dict[str, Any]

#: Tags of an ECS task are 50, of which two are ours.
_ECS_LABELS = 48


def misshapen(configuration: Mapping[str, Any], *, complete: bool) -> Iterator[tuple[str, str]]:
    """Yield path and problem of each value that no platform can take.

    Not `complete` is what a deployment makes of its template: what is missing, a run may still
    set. Whatever has a placeholder in it may become anything.
    """
    yield from _walk(_CONFIGURATION, configuration, "job_configuration", complete=complete)
    labels = configuration.get("labels")
    many = len(labels) if isinstance(labels, Mapping) else 0
    if many > _ECS_LABELS and "task_run_request" in configuration:
        yield (
            "job_configuration.labels",
            f"has {many} labels; a task takes {_ECS_LABELS} beside our own",
        )


def _walk(shape: Shape, value: Any, path: str, *, complete: bool) -> Iterator[tuple[str, str]]:
    if value is None or (isinstance(value, str) and "{{" in value):
        return
    if isinstance(shape, dict):
        if not isinstance(value, Mapping):
            yield path, "is not an object"
            return
        for key, inner in shape.items():
            name = key.removesuffix("!")
            where = f"{path}.{name}"
            if complete and key.endswith("!") and value.get(name) is None:
                yield where, "is not set"
            yield from _walk(inner, value.get(name), where, complete=complete)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield path, "is not a list"
            return
        for index, item in enumerate(value):
            yield from _walk(shape[0], item, f"{path}[{index}]", complete=complete)
    elif problem := shape(value):
        yield path, problem


# -- leaves -----------------------------------------------------------------------------------


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "is not a text"


def _object(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else "is not an object"


def _whole(value: Any) -> str | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    return None if number or (isinstance(value, str) and value.strip().isdigit()) else _NO_NUMBER


_NO_NUMBER = "is not a whole number of CPU units or MiB"


def _size(value: Any) -> str | None:
    """A size of a task, which ECS also takes as `.5 vCPU` or `2 GB`."""
    if not isinstance(value, str):
        return _whole(value)
    text = value.strip().lower()
    number = text.removesuffix("vcpu").removesuffix("gb").strip()
    try:
        float(number)
    except ValueError:
        return _NO_NUMBER
    return None if number != text or text.isdigit() else _NO_NUMBER


def _words(value: Any) -> str | None:
    if isinstance(value, list):
        bad = any(isinstance(word, (Mapping, list)) or word is None for word in value)
        return "is not a list of words" if bad else None
    if not isinstance(value, str):
        return "is neither a text nor a list of words"
    try:
        split(value)
    except ValueError as error:
        return f"cannot be split into words: {error.__cause__}"
    return None


def _pairs(value: Any) -> str | None:
    """An environment: an object, or a list of names and values."""
    if isinstance(value, Mapping):
        return None
    if not isinstance(value, list):
        return "is neither an object nor a list of names and values"
    bad = [n for n, item in enumerate(value) if not _is_pair(item)]
    return f"has an element {bad[0]} that is not an object with a name" if bad else None


def _is_pair(item: Any) -> bool:
    return isinstance(item, Mapping) or (isinstance(item, str) and "{{" in item)


def _listed(value: Any) -> str | None:
    """docker-py's environments and labels: an object, or a list of texts."""
    good = isinstance(value, Mapping) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )
    return None if good else "is neither an object nor a list of texts"


# -- references of the variables -----------------------------------------------------------------


def dangling(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield path and problem of each `$ref` in a schema of variables that leads nowhere: it would
    fail when the first run is checked."""
    yield from _lost(schema, schema, "variables")


def _lost(schema: Mapping[str, Any], part: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, list):
        for index, item in enumerate(part):
            yield from _lost(schema, item, f"{path}[{index}]")
    if not isinstance(part, Mapping):
        return
    reference = part.get("$ref")
    if isinstance(reference, str) and not _leads(schema, reference):
        yield path, f"$ref {reference!r} leads nowhere: only #/… into the variables does"
    for key, value in part.items():
        if key not in ("default", "const", "enum", "examples"):
            yield from _lost(schema, value, f"{path}.{key}")


def _leads(schema: Any, reference: str) -> bool:
    if not reference.startswith("#"):
        return False
    for step in filter(None, reference.removeprefix("#").split("/")):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list) and name.isdigit() and int(name) < len(schema):
            schema = schema[int(name)]
        elif isinstance(schema, Mapping) and name in schema:
            schema = schema[name]
        else:
            return False
    return True


# -- the table --------------------------------------------------------------------------------

_ECS_SIZES: dict[str, Any] = {"cpu": _whole, "memory": _whole, "memoryReservation": _whole}
_ECS_CONTAINER: dict[str, Any] = {
    "name": _text,
    "image": _text,
    "command": _words,
    "entryPoint": _words,
    "environment": _pairs,
    "secrets": [{"name!": _text, "valueFrom!": _text}],
    **_ECS_SIZES,
}
_KUBERNETES_CONTAINER: dict[str, Any] = {
    "name": _text,
    "image": _text,
    "command": _words,
    "args": _words,
    "env": _pairs,
    "resources": {"limits": _object, "requests": _object},
}
_KUBERNETES_METADATA: dict[str, Any] = {
    "namespace": _text,
    "labels": _object,
    "annotations": _object,
}
_CONFIGURATION: dict[str, Any] = {
    "command": _words,
    "env": _object,
    "labels": _object,
    "annotations": _object,
    # Amazon ECS
    "task_definition": {
        "family": _text,
        "executionRoleArn": _text,
        "cpu": _size,
        "memory": _size,
        "containerDefinitions": [_ECS_CONTAINER],
    },
    "task_run_request": {
        "cluster": _text,
        "launchType": _text,
        "taskDefinition": _text,
        "capacityProviderStrategy": [{"capacityProvider!": _text, "weight": _whole}],
        "networkConfiguration": _object,
        "overrides": {
            "cpu": _size,
            "memory": _size,
            "taskRoleArn": _text,
            "containerOverrides": [
                {"name": _text, "command": _words, "environment": _pairs, **_ECS_SIZES}
            ],
        },
    },
    "network_configuration": _object,
    "cloudwatch_logs_options": _object,
    # Kubernetes
    "job_manifest": {
        "metadata": _KUBERNETES_METADATA,
        "spec!": {
            "template!": {
                "metadata": _KUBERNETES_METADATA,
                "spec!": {
                    "containers!": [_KUBERNETES_CONTAINER],
                    "initContainers": [_KUBERNETES_CONTAINER],
                },
            }
        },
    },
    # Azure Container Instances
    "arm_template": {
        "resources": [
            {
                "properties": {
                    "containers": [
                        {
                            "name": _text,
                            "properties": {
                                "image": _text,
                                "command": _words,
                                "environmentVariables": _pairs,
                            },
                        }
                    ]
                }
            }
        ]
    },
    # Docker
    "container_create_kwargs": {"environment": _listed, "labels": _listed},
    "networks": [_text],
}
