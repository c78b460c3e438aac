"""What does a `Run Requested` event, an API call or a schedule's firing ask for?

The document is described by `request.schema.json` beside this module; `docs/reference/events.md`
explains it. Reading one lists everything that is wrong with it at once.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from push_dispatch.control.deployments import deployment_named
from push_dispatch.core.bounds import check_document
from push_dispatch.core.deployment import Deployment, request_of
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import idempotency_key_of
from push_dispatch.core.schemas import misfits
from push_dispatch.ports import Ports

__all__ = ["fired", "requested", "schema"]

#: Fields of the document that are fields of a `Request` under the same name.
_SAME = (
    "queue",
    "name",
    "start_within",
    "start_by_seconds",
    "timeout_seconds",
    "retries",
    "crash_retries",
    "retry_delay_seconds",
    "idempotency_key",
    "concurrency_key",
    "traceparent",
    "parameters",
)


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("push_dispatch.control").joinpath("request.schema.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def requested(ports: Ports, document: Any, *, idempotency_key: str = "") -> Request:
    """The request in a document; `idempotency_key` is used if it names none.

    Raises Invalid, listing every violation, or NotFound (`deployment_not_found`).
    """
    _check(document)
    fields = {name: _whole(document[name]) for name in _SAME if name in document}
    fields["at"] = _time(ports, document)
    fields["tags"] = tuple(document.get("tags", ()))
    fields["variables"] = document.get("job_variables", {})
    if idempotency_key:
        fields.setdefault("idempotency_key", idempotency_key)
    if "deployment" in document:
        deployment = deployment_named(ports, document["deployment"])
        check_parameters(deployment, fields.get("parameters", {}))
        return request_of(deployment, **fields)
    return Request(pool=document["pool"], **fields)


def fired(ports: Ports, firing: Mapping[str, Any]) -> Request | None:
    """The request of a schedule that has fired: `{"deployment", "schedule", "time"}`.

    None if the deployment or its schedule is gone or paused meanwhile. Firing twice for the same
    time asks for the same run.
    """
    _check_firing(firing)
    document = ports.store.deployment(firing["deployment"])
    deployment = deployment_named(ports, firing["deployment"]) if document else None
    if deployment is None or deployment.paused:
        return None
    schedule = next((s for s in deployment.schedules if s.name == firing["schedule"]), None)
    if schedule is None or not schedule.active:
        return None
    key = idempotency_key_of(deployment.name, schedule.name, firing["time"])
    due = _milliseconds(firing["time"])
    if schedule.jitter_seconds:
        # Drawn from the key, so that the second delivery of a firing draws the same.
        due += random.Random(key).randrange(schedule.jitter_seconds * 1000)  # noqa: S311
    request = request_of(deployment, at=due, idempotency_key=key, parameters=schedule.parameters)
    return replace(request, variables=schedule.job_variables)


def _check_firing(firing: Mapping[str, Any]) -> None:
    for name in ("deployment", "schedule", "time"):
        if not isinstance(firing.get(name), str):
            raise Invalid(f"a schedule's firing names its {name} as text")


def check_parameters(deployment: Deployment, parameters: Mapping[str, Any]) -> None:
    """Raises Invalid (`invalid_parameters`), listing all that the schema does not allow."""
    if not deployment.parameter_schema:
        return
    merged = {**deployment.parameters, **parameters}
    what = f"the parameter schema of deployment {deployment.name!r}"
    errors = misfits(deployment.parameter_schema, merged, what, reason=Reason.INVALID_PARAMETERS)
    if errors:
        lines = "; ".join(f"{_path(error.absolute_path)}: {error.message}" for error in errors)
        raise Invalid(
            f"parameters of deployment {deployment.name!r}: {lines}",
            reason=Reason.INVALID_PARAMETERS,
        )


# -- details ----------------------------------------------------------------------------------


def _check(document: Any) -> None:
    try:
        check_document(document)
    except ValueError as error:
        raise Invalid(f"the request is not valid: {error}") from error
    errors = misfits(schema(), document, "the request", reason=Reason.INVALID_INPUT)
    if errors:
        lines = "; ".join(f"{_path(error.absolute_path)}: {error.message}" for error in errors)
        raise Invalid(f"the request is not valid: {lines}")


def _whole(value: Any) -> Any:
    """JSON Schema takes 5.0 for an integer; everything behind this door takes 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _path(parts: Any) -> str:
    return ".".join(str(part) for part in parts) or "(top level)"


def _time(ports: Ports, document: Mapping[str, Any]) -> int | None:
    if "at" in document:
        return _milliseconds(document["at"])
    if "in_seconds" in document:
        return ports.clock() + int(document["in_seconds"]) * 1000
    return None


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is not a time in ISO 8601", reason=Reason.INVALID_TIME) from error
    if moment.tzinfo is None:
        raise Invalid(f"{text!r} has no time zone; add one such as Z", reason=Reason.INVALID_TIME)
    try:
        return int(moment.astimezone(UTC).timestamp() * 1000)
    except OverflowError as error:
        raise Invalid(f"{text!r} is out of range", reason=Reason.INVALID_TIME) from error
