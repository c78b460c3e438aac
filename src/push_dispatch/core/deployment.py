"""What is a deployment? A named way to make runs: where, what, with which overrides, and when."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

from push_dispatch.core.errors import Invalid, Unreadable
from push_dispatch.core.model import DEFAULT_QUEUE, Collision, Edge
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule

__all__ = [
    "Deployment",
    "active_schedules",
    "command_of",
    "from_document",
    "request_of",
    "to_document",
    "variables_of",
]

#: What `python3 -c` executes: `module:function` as Python finds it, Prefect's `path.py:function` by
#: its path, with the other modules of its folder.
_CALL = (
    "import importlib.util, json, operator, os, sys; {load}"
    "operator.attrgetter({function!r})(module)"
    "(**json.loads(os.environ.get('PUSH_DISPATCH_PARAMETERS') or '{{}}'))"
)
_BY_NAME = "module = importlib.import_module({module!r}); "
_BY_PATH = (
    "sys.path.insert(0, os.path.abspath({folder!r})); "
    "spec = importlib.util.spec_from_file_location({name!r}, {path!r}); "
    "module = importlib.util.module_from_spec(spec); "
    "sys.modules.setdefault({name!r}, module); spec.loader.exec_module(module); "
)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Defaults of the runs that are made by its name. Durations in seconds."""

    name: str
    pool: str
    queue: str = DEFAULT_QUEUE
    #: What to execute: a command line, or an entrypoint `path.py` or `module:function`. Neither
    #: leaves it to the job variables and the image.
    command: str = ""
    entrypoint: str = ""
    image: str = ""
    #: Override the pool's defaults, and are overridden by a run's own.
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    #: Given to the process in PUSH_DISPATCH_PARAMETERS, as JSON.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: JSON Schema that the parameters of every run must satisfy.
    parameter_schema: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    retries: int = 0
    crash_retries: int = 0
    retry_delay_seconds: int = 10
    timeout_seconds: int | None = None
    start_within: int | None = None
    start_by_seconds: int | None = None
    concurrency_key: str = ""
    #: Slots that its runs may hold at once.
    limit: int | None = None
    #: Its runs that may wait for their first start.
    max_waiting: int | None = None
    collision: Collision = Collision.ENQUEUE
    #: Of its runs with the same key that come within so many seconds one starts.
    debounce_seconds: int | None = None
    debounce_edge: Edge = Edge.TRAILING
    #: A paused deployment makes no runs by schedule.
    paused: bool = False
    schedules: tuple[Schedule, ...] = ()
    description: str = ""


#: What a run takes over as it is, unless it says otherwise itself.
_SAME = tuple(({f.name for f in fields(Request)} & {f.name for f in fields(Deployment)}) - {"name"})


def active_schedules(deployment: Deployment) -> tuple[Schedule, ...]:
    """Those that are to fire."""
    return () if deployment.paused else tuple(s for s in deployment.schedules if s.active)


def request_of(deployment: Deployment, **overrides: Any) -> Request:
    """The request for a run of it; `overrides` are fields of `Request` that the run sets itself."""
    parameters = {**deployment.parameters, **overrides.pop("parameters", {})}
    tags = (*deployment.tags, *overrides.pop("tags", ()))
    given = {key: value for key, value in overrides.items() if value is not None}
    base: dict[str, Any] = {name: getattr(deployment, name) for name in _SAME}
    base |= {
        "deployment": deployment.name,
        "deployment_variables": variables_of(deployment),
        "tags": tuple(dict.fromkeys(tags)),
        "parameters": parameters,
    }
    return Request(**base | given)


def variables_of(deployment: Deployment) -> dict[str, Any]:
    """Its job variables, those from command, entrypoint and image among them."""
    variables: dict[str, Any] = dict(deployment.job_variables)
    if deployment.image:
        variables["image"] = deployment.image
    if deployment.command:
        variables["command"] = deployment.command
    if deployment.entrypoint:
        variables["command"] = command_of(deployment.entrypoint)
    return variables


def to_document(deployment: Deployment) -> dict[str, Any]:
    """The deployment as plain data without its name; only what differs from the defaults."""
    empty = Deployment("", "")
    document = {
        key: value
        for key, value in asdict(deployment).items()
        if key not in ("name", "schedules") and value != getattr(empty, key)
    }
    if deployment.tags:
        document["tags"] = list(deployment.tags)
    if deployment.schedules:
        document["schedules"] = [
            {key: value for key, value in asdict(schedule).items() if value not in ("", None, {})}
            for schedule in deployment.schedules
        ]
    return document


def from_document(name: str, document: Mapping[str, Any]) -> Deployment:
    """The deployment that `to_document` has described, without fields that are not known here: a
    newer version may have written it. Raises Unreadable."""
    try:
        values = _known(Deployment, document)
        values["tags"] = tuple(values.get("tags", ()))
        entries = values.get("schedules", ())
        values["schedules"] = tuple(Schedule(**_known(Schedule, entry)) for entry in entries)
        if "collision" in values:
            values["collision"] = Collision(values["collision"])
        if "debounce_edge" in values:
            values["debounce_edge"] = Edge(values["debounce_edge"])
        return Deployment(**{**values, "name": name})
    except (TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"deployment {name!r} is malformed in the table: {error}") from error


def command_of(entrypoint: str) -> str:
    """`path.py` is executed; `path.py:function` and `module:function` are called with the
    parameters. Raises Invalid."""
    module, colon, function = entrypoint.rpartition(":")
    if not colon:
        return shlex.join(["python3", entrypoint])
    path = PurePosixPath(module)
    by_path = path.suffix == ".py"
    if not _DOTTED.fullmatch(function) or not (by_path or _DOTTED.fullmatch(module)):
        raise Invalid(
            f"entrypoint {entrypoint!r} is not valid: write path.py, flows/etl.py:main or "
            "flows.etl:main"
        )
    if by_path:
        load = _BY_PATH.format(folder=str(path.parent), name=path.stem, path=module)
    else:
        load = _BY_NAME.format(module=module)
    return shlex.join(["python3", "-c", _CALL.format(load=load, function=function)])


def _known(cls: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    names = {entry.name for entry in fields(cls)}
    return {key: value for key, value in document.items() if key in names}
