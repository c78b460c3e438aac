"""How do a work pool, its queues and its base job template become ours? The server decides.

Pure but for `mirror`, which writes. Pools and queues are told apart by id: a queue that is renamed
on the server keeps the name that it has with us, and so its line.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from push_dispatch.control.pools import change_pool, keep_template
from push_dispatch.control.prefect.attachment import Attachment
from push_dispatch.core.model import DEFAULT_QUEUE, MAX_SLOTS, Pool, Queue, is_name
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports
from push_dispatch.ports.prefect import Address, WorkPool, WorkQueue

__all__ = [
    "COMMAND",
    "environment_of",
    "mirror",
    "our_name",
    "our_queues",
    "our_template",
    "queue_names",
]

#: What Prefect's own workers start, unless a job variable says otherwise.
COMMAND = "prefect flow-run execute"


def mirror(
    ports: Ports, attachment: Attachment, found: WorkPool, queues: Sequence[WorkQueue]
) -> Attachment:
    """Make our pool what the server says, and return the attachment with the names of its queues.

    Idempotent; writes only what differs. Raises Invalid (`invalid_template`) if the template
    cannot be ours: nothing is changed then.
    """
    names = queue_names(found, queues, attachment.queues)
    ours = ports.store.pool(attachment.pool)
    template = our_template(attachment.type or found.type, found.template, attachment)
    digest = keep_template(ports, attachment.pool, template) if ours else ""

    def change(pool: Pool) -> Pool:
        wanted = our_queues(queues, names)
        gone = [q.name for q in pool.queues if all(q.name != w.name for w in wanted)]
        retired = tuple(n for n in dict.fromkeys((*pool.retired, *gone)) if _retired(n, wanted))
        return replace(
            pool,
            limit=_limit(found.limit),
            paused=found.paused,
            queues=wanted,
            retired=retired,
            template=digest,
        )

    change_pool(ports, attachment.pool, change, mirrors=True)
    marks = {found.id: found.mark, **{queue.id: queue.mark for queue in queues}}
    return replace(attachment, queues=names, marks=marks)


def _retired(name: str, wanted: Iterable[Queue]) -> bool:
    return all(queue.name != name for queue in wanted)


def queue_names(
    found: WorkPool, queues: Sequence[WorkQueue], known: Mapping[str, str]
) -> dict[str, str]:
    """Our name of each queue by its id: the one it had, else one that resembles its name."""
    names: dict[str, str] = {q.id: known[q.id] for q in queues if q.id in known}
    if found.default_queue_id:
        names[found.default_queue_id] = DEFAULT_QUEUE
    taken = {DEFAULT_QUEUE, *names.values()}
    for queue in queues:
        if queue.id not in names:
            names[queue.id] = our_name(queue.name, queue.id, taken)
            taken.add(names[queue.id])
    return names


def our_name(text: str, unique: str, taken: Iterable[str] = ()) -> str:
    """A name that we take, as like `text` as can be; `unique` tells apart what would be alike."""
    name = text if is_name(text) else re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:50]
    if name and is_name(name) and name not in set(taken) and (name == text or not text):
        return name
    return f"{name or 'q'}-{unique.replace('-', '')[:8]}"


def our_queues(queues: Sequence[WorkQueue], names: Mapping[str, str]) -> tuple[Queue, ...]:
    """The queues, first served first. The server keeps priorities apart, but for races: what is
    alike is served in the order of ids."""
    wanted: list[Queue] = []
    for queue in sorted(queues, key=lambda q: (q.priority, q.id)):
        least = wanted[-1].priority + 1 if wanted else 1
        wanted.append(
            Queue(
                names[queue.id],
                max(queue.priority, least),
                limit=_limit(queue.limit),
                paused=queue.paused,
                description="" if names[queue.id] == queue.name else f"Prefect: {queue.name}"[:200],
            )
        )
    if all(queue.name != DEFAULT_QUEUE for queue in wanted):
        last = wanted[-1].priority + 1 if wanted else 1
        wanted.append(Queue(DEFAULT_QUEUE, last))
    return tuple(wanted)


def _limit(limit: int | None) -> int | None:
    """A limit beyond what a pool of ours can hold is the most that it can."""
    return None if limit is None else min(limit, MAX_SLOTS)


# -- the template -----------------------------------------------------------------------------


def our_template(type_: str, base: Mapping[str, Any], attachment: Attachment) -> dict[str, Any]:
    """The base job template for our pool: the server's, or the default one of the type, with what
    a flow run needs to reach the server, and the command that executes it.

    What only Prefect's workers use is left out: credentials of platforms are in blocks there, and
    ours has its own.
    """
    template = copy.deepcopy(dict(base)) if base else default_template(type_)
    variables = template.setdefault("variables", {})
    properties = variables.setdefault("properties", {})
    configuration = template.setdefault("job_configuration", {})
    _without_blocks(variables, properties)
    command = properties.get("command")
    if isinstance(command, dict) and command.get("default") is None:
        command["default"] = COMMAND
    elif "command" not in configuration and command is None:
        configuration["command"] = COMMAND
    _with_env(properties, configuration, environment_of(attachment))
    return template


def environment_of(attachment: Attachment) -> dict[str, str]:
    """What a flow run needs to reach the server; credentials as references to secrets."""
    address = attachment.address
    env = {"PREFECT_API_URL": attachment.run_url}
    if address.auth_secret:
        env["PREFECT_API_AUTH_STRING"] = f"{{{{ secrets.{address.auth_secret} }}}}"
    if address.key_secret:
        env["PREFECT_API_KEY"] = f"{{{{ secrets.{address.key_secret} }}}}"
    if address.headers_secret:
        env["PREFECT_CLIENT_CUSTOM_HEADERS"] = f"{{{{ secrets.{address.headers_secret} }}}}"
    elif address.headers:
        env["PREFECT_CLIENT_CUSTOM_HEADERS"] = json.dumps(dict(address.headers))
    return env | _trust(address)


def _trust(address: Address) -> dict[str, str]:
    return {} if address.verify else {"PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true"}


def _with_env(
    properties: dict[str, Any], configuration: dict[str, Any], env: Mapping[str, str]
) -> None:
    declared = properties.get("env")
    if isinstance(declared, dict):
        declared["default"] = {**env, **(declared.get("default") or {})}
    elif isinstance(configuration.get("env", {}), dict):
        configuration["env"] = {**env, **configuration.get("env", {})}


def _without_blocks(variables: dict[str, Any], properties: dict[str, Any]) -> None:
    """Leave out the variables that are blocks of credentials."""
    blocks = [name for name, declared in properties.items() if _is_block(declared, variables)]
    for name in blocks:
        properties[name] = {"title": properties[name].get("title", name), "default": None}
    if "required" in variables:
        variables["required"] = [n for n in variables["required"] if n not in blocks]


def _is_block(declared: Any, variables: Mapping[str, Any]) -> bool:
    """Whether the value of a variable is a block: its schema, or the one that it refers to, says
    of which type."""
    if not isinstance(declared, Mapping):
        return False
    default = declared.get("default")
    if isinstance(default, Mapping) and "$ref" in default:
        return True
    return any("block_type_slug" in schema for schema in _schemas(declared, variables))


def _schemas(declared: Mapping[str, Any], variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = [declared, *declared.get("allOf", ()), *declared.get("anyOf", ())]
    found: list[Mapping[str, Any]] = []
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        found.append(part)
        _, _, name = str(part.get("$ref", "")).rpartition("/")
        for where in ("definitions", "$defs"):
            target = variables.get(where, {}).get(name) if name else None
            if isinstance(target, Mapping):
                found.append(target)
    return found
