"""How is a work pool attached, and detached? Everything is checked before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from push_dispatch.control.pools import change_pool, create_pool, delete_pool
from push_dispatch.control.prefect.attachment import (
    GATEWAY,
    Attachment,
    Bridge,
    attached,
    forget,
    remember,
)
from push_dispatch.control.prefect.mirror import (
    mirror,
    our_name,
    our_queues,
    our_template,
    queue_names,
)
from push_dispatch.control.prefect.resolve import resolve
from push_dispatch.control.prefect.runs import flow_run_of
from push_dispatch.core.errors import Invalid, NotFound, Refused
from push_dispatch.core.events import Expire
from push_dispatch.core.model import Pool, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.template import Layer
from push_dispatch.core.validation import check_template, violations
from push_dispatch.engine.transition import transition_all
from push_dispatch.platforms.registry import entry_for, needs_command
from push_dispatch.ports.prefect import Address, Deployment, Server, WorkPool, WorkQueue
from push_dispatch.ports.secrets import BLOCKS

__all__ = ["Attached", "Wanted", "attach", "detach", "refusals"]

#: Older servers lack `bulk_set_state` with a transition id, and leases.
OLDEST = (3, 4)
#: Those that the bridge is tested with.
TESTED = ((3, 8), (3, 9))
#: Whose heartbeats are ours.
_WORKER = "push-dispatch"
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to attach."""

    work_pool: str
    address: Address
    #: Our name; by default the work pool's.
    name: str = ""
    #: Our type, where it is not the work pool's.
    type: str = ""
    #: Where flow runs reach the API, if that is another address.
    container_url: str = ""
    #: Where the server can reach our door for hints; empty for none.
    hint_url: str = ""
    hint_secret: str = ""
    #: Only to look: a worker is not in the way.
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Attached:
    """What was attached, and what a person should know of it."""

    attachment: Attachment
    version: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    server: Server
    version: str
    pool: WorkPool
    queues: Sequence[WorkQueue]
    warnings: tuple[str, ...]


def attach(bridge: Bridge, wanted: Wanted) -> Attached:
    """Serve a work pool of a Prefect server from now on. Done again, it takes over what has
    changed, such as credentials.

    Raises Unavailable (`prefect_unavailable`), Refused (`prefect_denied`, `prefect_version`,
    `pool_exists`), Rejected (`secret_unavailable`), NotFound (`work_pool_not_found`), Invalid
    (`unknown_type`, `invalid_template`, `invalid_variables` for deployments that could not run).
    Nothing is changed then.
    """
    _check_url(wanted.address.api_url)
    found = _read(bridge, wanted)
    attachment = _attachment(bridge, wanted, found)
    _check(attachment, found)
    attachment = _saved(bridge, attachment, found)
    found.server.beat(found.pool.name, 600)
    if wanted.hint_url and wanted.hint_url != "local":
        automation, block = found.server.add_hint(found.pool, wanted.hint_url, wanted.hint_secret)
        attachment = replace(
            attachment, automation=automation, block=block, hinted_url=wanted.hint_url
        )
    remember(bridge.ports, attachment)
    return Attached(attachment, found.version, found.warnings)


def detach(bridge: Bridge, name: str, *, force: bool = False) -> int:
    """Serve the work pool no longer, and delete our pool; return how many runs were withdrawn:
    they wait on the server, for a worker. Raises NotFound (`not_attached`), Refused
    (`pool_not_empty`) while runs are under way, unless `force` leaves them to themselves."""
    ports, attachment = bridge.ports, attached(bridge.ports, name)
    remember(ports, replace(attachment, draining=True))
    under_way = frozenset({RunState.SCHEDULED, RunState.PENDING, RunState.RUNNING})
    runs = list(ports.store.list_runs(name, states=under_way | {RunState.CANCELLING}))
    waiting = [run for run in runs if run.state is RunState.SCHEDULED and flow_run_of(run)]
    transition_all(ports, name, waiting, Expire(Reason.WITHDRAWN))
    busy = len(runs) - len(waiting)
    if busy and not force:
        raise Refused(
            f"{busy} runs of pool {name!r} are under way; no further ones are started. Type it "
            "again when they have ended, or add --force: then a crash of one is not reported",
            reason=Reason.POOL_NOT_EMPTY,
        )
    server = bridge.server(attachment.address)
    server.remove_hint(attachment.automation, attachment.block)
    server.leave(attachment.work_pool)
    if ports.store.pool(name) is not None:
        change_pool(ports, name, lambda pool: replace(pool, gateway=""))
        if not busy:
            delete_pool(ports, name, force=True)
    forget(ports, name)
    return len(waiting)


# -- checks -----------------------------------------------------------------------------------


def _check_url(url: str) -> None:
    if not re.match(r"https?://[^/\s]+", url):
        raise Invalid(
            f"--api-url {url!r} is no URL: it looks like http://prefect.example.com:4200/api"
        )


def _read(bridge: Bridge, wanted: Wanted) -> _Found:
    """Read what there is on the server, and whether it is one that we can serve."""
    server = bridge.server(wanted.address)
    version = _checked_version(server, wanted.address.api_url)
    pool = server.pool(wanted.work_pool)
    if pool is None:
        raise NotFound(
            f"the Prefect server at {wanted.address.api_url} has no work pool {wanted.work_pool!r}",
            reason=Reason.WORK_POOL_NOT_FOUND,
        )
    text = ".".join(map(str, version))
    queues = server.queues([pool.id])[pool.id]
    warnings = [] if version[:2] in TESTED else [f"version {text} of Prefect was not tried"]
    online = [w.name for w in server.workers(pool.name) if w.online and w.name != _WORKER]
    if online and not wanted.shadow:
        names = ", ".join(repr(name) for name in online)
        warnings.append(
            f"the work pool is served by {names} now: no run starts twice, but both take runs; "
            "stop the worker"
        )
    return _Found(server, text, pool, queues, tuple(warnings))


def _checked_version(server: Server, url: str) -> tuple[int, ...]:
    wrong = f"is that Prefect's API? Its URL ends with /api, such as {_with_api(url)}"
    try:
        reported = server.version()
    except Invalid as error:
        raise Invalid(
            f"{url} does not say its version ({error.message}): {wrong}",
            reason=Reason.PREFECT_VERSION,
        ) from error
    parts = re.findall(r"\d+", reported)[:3]
    version = tuple(map(int, parts))
    if len(version) < 2:
        raise Invalid(
            f"{url} says that its version is {reported[:50]!r}: {wrong}",
            reason=Reason.PREFECT_VERSION,
        )
    if version < OLDEST:
        raise Refused(
            f"the server at {url} is Prefect {reported}: 3.4 is the oldest that can be attached",
            reason=Reason.PREFECT_VERSION,
        )
    return version


def _with_api(url: str) -> str:
    return url if url.endswith("/api") else f"{url.rstrip('/')}/api"


def _attachment(bridge: Bridge, wanted: Wanted, found: _Found) -> Attachment:
    """The attachment, which keeps who we are if the pool was attached before."""
    name = wanted.name or our_name(found.pool.name, found.pool.id)
    document = bridge.ports.store.attachment(name)
    former = Attachment.read(document) if document else None
    if former is not None and former.pool_id != found.pool.id:
        raise Refused(
            f"pool {name!r} is attached to work pool {former.work_pool!r} of "
            f"{former.address.api_url}: choose another --name",
            reason=Reason.POOL_EXISTS,
        )
    ours = bridge.ports.store.pool(name)
    if former is None and ours is not None and ours.gateway != GATEWAY:
        raise Refused(f"pool {name!r} exists: choose another --name", reason=Reason.POOL_EXISTS)
    now = bridge.ports.clock()
    return Attachment(
        pool=name,
        address=wanted.address,
        pool_id=found.pool.id,
        work_pool=found.pool.name,
        bridge=former.bridge if former else bridge.ports.new_id(),
        type=wanted.type,
        container_url=wanted.container_url,
        queues=queue_names(found.pool, found.queues, former.queues if former else {}),
        hint_url=wanted.hint_url,
        hint_secret=wanted.hint_secret,
        attached_at=former.attached_at if former else now,
        mirrored_at=now,
        beaten_at=now,
    )


def _check(attachment: Attachment, found: _Found) -> None:
    """Raise Invalid, with everything that is wrong, if our platform cannot take the template or a
    deployment."""
    type_ = attachment.type or found.pool.type
    try:
        entry_for(type_)
    except (Invalid, NotFound) as error:
        raise Invalid(
            f"work pool {found.pool.name!r} has the type {type_!r}, which no platform of ours "
            "serves: choose one with --type (push-dispatch platform ls)",
            reason=Reason.UNKNOWN_TYPE,
        ) from error
    template = our_template(type_, found.pool.template, attachment)
    check_template(template, where=f"work pool {found.pool.name!r}: ")
    problems = _all_problems(found, template, type_, attachment.pool)
    if problems:
        more = len(problems) - _SHOWN
        listed = problems[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise Invalid(
            "deployments of the work pool could not run:\n" + "\n".join(listed),
            reason=Reason.INVALID_VARIABLES,
        )


def _all_problems(found: _Found, template: dict[str, object], type_: str, pool: str) -> list[str]:
    return [
        f"deployment {deployment.name!r}: {problem}"
        for deployment in found.server.deployments_of(found.pool.name)
        for problem in _problems(template, deployment, type_, pool)
    ]


def refusals(bridge: Bridge, address: Address, work_pool: str) -> tuple[str, ...]:
    """What would keep the work pool, or deployments of it, from being served by us. Raises as
    `attach` does if the server or the pool is not there."""
    wanted = Wanted(work_pool, address, shadow=True)
    found = _read(bridge, wanted)
    try:
        _check(_attachment(bridge, wanted, found), found)
    except (Invalid, Refused) as error:
        return tuple(error.message.splitlines())
    return ()


def _problems(
    template: dict[str, object], deployment: Deployment, type_: str, pool: str
) -> list[str]:
    given = resolve(dict(deployment.job_variables), lambda _name: None, pool)
    given = {name: value for name, value in given.items() if value is not None}
    layers = [Layer("deployment", given)]
    return [str(each) for each in violations(template, layers, needs_command=needs_command(type_))]


def _saved(bridge: Bridge, attachment: Attachment, found: _Found) -> Attachment:
    ports = bridge.ports
    if ports.store.pool(attachment.pool) is None:
        type_ = attachment.type or found.pool.type
        pool = Pool(
            attachment.pool,
            type_,
            queues=our_queues(found.queues, attachment.queues),
            description=f"Attached to {found.pool.name!r} at {attachment.address.api_url}",
            secrets=(f"{BLOCKS}{attachment.pool}/*",),
            gateway=GATEWAY,
        )
        create_pool(ports, pool, our_template(type_, found.pool.template, attachment))
    return mirror(ports, attachment, found.pool, found.queues)
