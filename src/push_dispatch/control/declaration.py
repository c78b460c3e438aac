"""What does a `pools.yaml` declare? Pools with their queues, and deployments with their schedules.

The format is `pools.schema.json` beside this module, which editors read too. Reading a file
lists everything that is wrong with it at once, each with its path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from push_dispatch.control.files import read_document
from push_dispatch.control.sharing import sharing_of
from push_dispatch.control.short_forms import expand
from push_dispatch.core.canonical import digest_of
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import (
    DEFAULT_QUEUE,
    HOLD_SECONDS,
    Collision,
    Edge,
    Fallback,
    Pool,
    Queue,
    Rate,
    check_rate,
)
from push_dispatch.core.reasons import Reason
from push_dispatch.core.schedule import Schedule
from push_dispatch.core.template import with_defaults
from push_dispatch.core.validation import check_template

__all__ = ["Declaration", "DeclaredPool", "read", "read_file", "schema"]

Template = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeclaredPool:
    """A pool as it should be, with the templates that it names by digest."""

    pool: Pool
    templates: Mapping[str, Template]
    #: The queues that the file names; the pool has a `default` in any case.
    named: frozenset[str] = frozenset()
    #: What the file sets of the template's defaults.
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declaration:
    """Everything that one file declares, by name."""

    pools: Mapping[str, DeclaredPool]
    deployments: Mapping[str, Deployment]


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    text = files("push_dispatch.control").joinpath("pools.schema.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def read_file(path: Path, default_template: Callable[[str], Template]) -> Declaration:
    """Read a YAML or JSON file; `-` is standard input. Templates named by a path are relative to
    it. Raises Invalid."""
    document = read_document(path)
    empty = document is None  # nothing but comments, or nothing at all
    return read({} if empty else document, default_template, relative_to=path.parent)


def read(
    document: Any, default_template: Callable[[str], Template], *, relative_to: Path
) -> Declaration:
    """The declaration in plain data. Raises Invalid, listing every violation with its path."""
    _refuse_prefects(document)
    document = _checked(document)

    def template_of(given: Any, pool_type: str) -> Template:
        return _template(given, pool_type, default_template, relative_to)

    pools = {
        name: _pool(name, entry or {}, template_of)
        for name, entry in (document.get("pools") or {}).items()
    }
    deployments = {
        name: _deployment(name, entry)
        for name, entry in (document.get("deployments") or {}).items()
    }
    return Declaration(pools, deployments)


# -- checks -----------------------------------------------------------------------------------


def _refuse_prefects(document: Any) -> None:
    """Raise Invalid, with what to write instead, for a project file of Prefect."""
    if not isinstance(document, Mapping) or "pools" in document:
        return
    if "prefect-version" in document or isinstance(document.get("deployments"), list):
        raise Invalid(_PREFECTS)


_PREFECTS = """\
this is a project file of Prefect (prefect.yaml); what it deploys is declared here as
  pools:
    POOL: {type: ecs, limit: 10}          # work pools, by name
  deployments:                            # by name, not a list
    NAME:
      pool: POOL                          # work_pool.name
      queue: QUEUE                        # work_pool.work_queue_name
      job_variables: {image: IMAGE}       # work_pool.job_variables
      entrypoint: flows/etl.py:main       # the same; the code has to be in the image
      parameters: {}                      # the same
      tags: []                            # the same
      limit: 1                            # concurrency_limit
      schedules: [{cron: "0 9 * * *", timezone: Europe/Berlin}]
  build, push and pull steps have no counterpart: build the image beforehand"""


def _checked(document: Any) -> Any:
    """The document in long forms. Raises Invalid."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only this command needs it

    expanded = expand(document)
    problems = list(expanded.problems.items())
    problems += [
        (tuple(error.absolute_path), error.message)
        for error in Draft202012Validator(schema()).iter_errors(expanded.document)
    ]
    if problems:
        # As text: a path has names and numbers.
        lines = sorted(f"{expanded.shown(path)}: {message}" for path, message in problems)
        raise Invalid("the file is not valid:\n  " + "\n  ".join(lines))
    return expanded.document


def _template(
    given: Any, pool_type: str, default_template: Callable[[str], Template], relative_to: Path
) -> Template:
    if given is None:
        return default_template(pool_type)
    if isinstance(given, Mapping):
        return given
    template = read_document(relative_to / given)
    if not isinstance(template, Mapping):
        raise Invalid(f"base job template {relative_to / given} is not an object")
    return template


# -- values -----------------------------------------------------------------------------------


def _pool(
    name: str, entry: Mapping[str, Any], template_of: Callable[[Any, str], Template]
) -> DeclaredPool:
    template = _with_defaults(
        template_of(entry.get("base_job_template"), entry["type"]), name, entry
    )
    templates = {digest_of(template): template}
    fallbacks = []
    for fallback in entry.get("fallbacks", ()):
        other = template_of(fallback.get("base_job_template"), fallback["type"])
        templates[digest_of(other)] = other
        fallbacks.append(Fallback(fallback["type"], digest_of(other)))
    pool = Pool(
        name=name,
        type=entry["type"],
        limit=entry.get("limit"),
        paused=entry.get("paused", False),
        queues=_queues(name, entry.get("queues") or {}),
        description=entry.get("description", ""),
        template=digest_of(template),
        key_limit=entry.get("key_limit"),
        rate=_rate(entry.get("rate"), f"pools.{name}"),
        fallbacks=tuple(fallbacks),
        platform_rate=_rate(entry.get("platform_rate"), f"pools.{name} (platform_rate)"),
        hold_seconds=entry.get("hold_seconds", HOLD_SECONDS),
        give_up_seconds=entry.get("give_up_seconds"),
        secrets=tuple(entry.get("secrets") or ()),
        **sharing_of(entry, f"pools.{name}"),
    )
    for declared in templates.values():
        check_template(declared, where=f"pools.{name}: ")
    named = frozenset(entry.get("queues") or {})
    return DeclaredPool(pool, templates, named, entry.get("job_variables") or {})


def _with_defaults(template: Template, name: str, entry: Mapping[str, Any]) -> Template:
    try:
        return with_defaults(template, entry.get("job_variables") or {})
    except Invalid as error:
        raise Invalid(f"pools.{name}.job_variables: {error}", reason=error.reason) from error


def _queues(pool: str, entries: Mapping[str, Any]) -> tuple[Queue, ...]:
    """Given priorities stay what they are; the other queues get the first free ones, in order. A
    `default` that the file does not name comes last: no run jumps ahead by naming no queue."""
    given = {name: dict(entry or {}) for name, entry in entries.items()}
    taken = [entry["priority"] for entry in given.values() if "priority" in entry]
    for priority in taken:
        if taken.count(priority) > 1:
            raise Invalid(
                f"pools.{pool}.queues: two queues have priority {priority}; priorities are unique",
                reason=Reason.INVALID_PRIORITY,
            )
    free = (number for number in range(1, len(given) + len(taken) + 2) if number not in taken)
    queues = []
    for name, entry in given.items():
        priority = entry.pop("priority", None)
        rate = _rate(entry.pop("rate", None), f"pools.{pool}.queues.{name}")
        number = priority if priority is not None else next(free)
        queues.append(Queue(name=name, priority=number, rate=rate, **entry))
    if DEFAULT_QUEUE not in given:
        last = max((queue.priority for queue in queues), default=0)
        queues.append(Queue(DEFAULT_QUEUE, last + 1))
    return tuple(sorted(queues, key=lambda queue: queue.priority))


def _rate(entry: Mapping[str, int] | None, where: str) -> Rate | None:
    return check_rate(Rate(**entry), where) if entry else None


def _deployment(name: str, entry: Mapping[str, Any]) -> Deployment:
    values = dict(entry)
    values["tags"] = tuple(values.get("tags", ()))
    values["schedules"] = tuple(Schedule(**schedule) for schedule in values.get("schedules", ()))
    if "collision" in values:
        values["collision"] = Collision(values["collision"])
    if "debounce_edge" in values:
        values["debounce_edge"] = Edge(values["debounce_edge"])
    return Deployment(name=name, **values)
