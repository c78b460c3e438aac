"""Does the system work? Everything that can be looked at without starting anything, one by one.

What somebody may not look at is unknown, and costs the rest nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.adapters.scheduler import EventBridgeSchedules
from push_dispatch.control.deployments import deployment_named
from push_dispatch.control.known import pools_of
from push_dispatch.core.deployment import active_schedules
from push_dispatch.core.errors import PushDispatchError, Unreadable
from push_dispatch.core.model import Pool
from push_dispatch.engine.recount import Recount, put_right, recount
from push_dispatch.engine.sign_in import SignedIn, sign_in
from push_dispatch.ops.account import Account, FunctionFailed, code_of
from push_dispatch.ops.checks import (
    check_clock,
    check_concurrency,
    check_dead_letters,
    check_expiry,
    check_functions,
    check_key,
    check_permissions,
    check_pool,
    check_queues,
    check_recovery,
    check_rules,
    check_schedules,
    check_sign_in,
    check_streams,
    check_table,
)
from push_dispatch.ops.findings import Finding, fine, problem, unknown, warning
from push_dispatch.ops.permissions import NEEDED
from push_dispatch.ops.system import Function, System
from push_dispatch.platforms.registry import entry_for
from push_dispatch.ports import Ports

__all__ = ["examine", "examine_local", "examine_pools"]

_Answer = TypeVar("_Answer")


def examine(ports: Ports, account: Account, table: str, *, repair: bool) -> Iterator[Finding]:
    """Look at the system of a table in AWS, and at its pools. Starts nothing, changes nothing but
    ledgers and lines to `repair` them, and never raises because of what it finds."""
    described = yield from _table(ports, account, table)
    if described is None:
        return
    recovery = yield from _ask("recovery", table, lambda: account.recovery(table))
    if recovery is not None:
        yield check_recovery(table, enabled=recovery)
    expiry = yield from _ask("expiry", table, lambda: account.expiry(table))
    if expiry is not None:
        yield check_expiry(table, expiry)
    if key := described.get("SSEDescription", {}).get("KMSMasterKeyArn"):
        policy = yield from _ask("key", key, lambda: account.key_policy(key))
        if policy is not None:
            yield check_key(key, policy)
    system = yield from _ask("function", table, lambda: account.system(table))
    if system is not None:
        yield from check_functions(system)
        yield from check_streams(system, described.get("LatestStreamArn", ""))
        yield from check_queues(system)
        yield from check_dead_letters(system)
        yield from _rules(account, system)
        yield from _permissions(account, system, described["TableArn"])
        yield from _sign_ins(account, system)
        limit = yield from _ask("concurrency", "", account.concurrency)
        if limit is not None:
            yield check_concurrency(limit)
    yield from _schedules(ports, repair=repair)
    yield from _pools(ports, system.platforms if system else None, repair=repair)


def examine_local(
    ports: Ports, account: Account, table: str, queues: Iterable[str], *, repair: bool
) -> Iterator[Finding]:
    """The same of a local runtime: `queues` are the URLs of those that it has."""
    described = yield from _table(ports, account, table)
    if described is None:
        return
    found = yield from _ask("queue", "", lambda: account.queues(queues))
    if found is not None:
        yield from check_dead_letters(System(queues=found))
    yield from examine_pools(ports, repair=repair)


def examine_pools(ports: Ports, *, repair: bool) -> Iterator[Finding]:
    """Look at the credentials of this machine for all pools' platforms, and at each ledger."""
    used = yield from _ask("credentials", "", lambda: _used(ports))
    # Processes of this machine need no credentials.
    for platform in sorted((used or set()) - {"process"}):
        yield check_sign_in(sign_in(ports, platform))
    yield from _pools(ports, None, repair=repair)


def _table(
    ports: Ports, account: Account, table: str
) -> Generator[Finding, None, dict[str, Any] | None]:
    answered = yield from _ask("table", table, lambda: account.table(table))
    if answered is None:
        return None
    described, there = answered
    yield check_clock(ports.clock(), there)
    yield from check_table(described)
    return described


# -- in AWS -----------------------------------------------------------------------------------


def _rules(account: Account, system: System) -> Iterator[Finding]:
    buses = [f.environ.get("PUSH_DISPATCH_EVENT_BUS", "") for f in system.having("notify")]
    for handler, bus, consequence in (
        ("sweep", "", "what time alone changes does not happen, such as timeouts"),
        ("submit", buses[0] if buses else "", "events that ask for runs are not heard"),
        ("finish", "", "ends of tasks in ECS are noticed within minutes only, by the sweep"),
    ):
        for function in system.having(handler):
            queues = [source.arn for source in function.sources if not source.is_stream]
            target = queues[0] if queues else function.arn
            ask = partial(account.rules, target, bus or "default")
            rules = yield from _ask("rule", function.name, ask)
            if rules is not None:
                yield check_rules(function.name, rules, consequence)


def _permissions(account: Account, system: System, table_arn: str) -> Iterator[Finding]:
    for function in system.functions:
        needed: list[str] = []
        denied: list[str] = []
        for actions, resources in _grants(system, function, table_arn):
            ask = partial(account.denied, function.role, actions, resources)
            refused = yield from _ask("permissions", function.name, ask)
            if refused is not None:
                needed += actions
                denied += refused
        if needed:
            yield check_permissions(function.name, needed, denied)


def _grants(
    system: System, function: Function, table_arn: str
) -> Iterator[tuple[list[str], list[str]]]:
    """Actions with the resources on which the function needs them. What it needs of a platform is
    seen when it signs in."""
    needed = NEEDED.get(function.handler, ())
    answered = _sends_to(system, function)
    queues = {queue.arn for url in answered if (queue := system.queue_at(url))}
    bus = function.environ.get("PUSH_DISPATCH_EVENT_BUS", "")
    _, partition, _, region, owner, *_ = function.arn.split(":")
    for service, resources in (
        ("dynamodb", [table_arn]),
        ("sqs", sorted(queues)),
        ("events", [f"arn:{partition}:events:{region}:{owner}:event-bus/{bus}"] if bus else []),
    ):
        actions = [action for action in needed if action.startswith(f"{service}:")]
        if actions and resources:
            yield actions, resources


def _sends_to(system: System, function: Function) -> tuple[str, ...]:
    """URLs of the queues that it sends to, if it sends at all."""
    environ = function.environ
    if function.handler == "submit":
        return (environ.get("PUSH_DISPATCH_REJECTED_QUEUE", ""),)
    platforms = tuple(system.platform_queues.values())
    if function.handler == "report":
        return platforms  # it wakes nobody: dispatch hears of ends by the table
    return (environ.get("PUSH_DISPATCH_WAKE_QUEUE", ""), *platforms)


def _sign_ins(account: Account, system: System) -> Iterator[Finding]:
    """The functions have the credentials of their platforms, and nobody else."""
    for function in system.having("push"):
        platforms = [name for name in system.platforms if function in system.pushing_to(name)]
        if platforms:
            ask = partial(account.invoke, function.name, {"sign_in": platforms})
            answer = yield from _ask("credentials", function.name, ask)
            for platform, answered in (answer or {}).items():
                yield check_sign_in(
                    SignedIn(platform, answered["ok"], answered["message"], answered["reason"])
                )


def _schedules(ports: Ports, *, repair: bool) -> Iterator[Finding]:
    """Whether they all fire at the queue of requests; an earlier version let them invoke the
    function. To repair, those of every deployment are saved again."""
    schedules = ports.schedules
    if not isinstance(schedules, EventBridgeSchedules):
        return
    astray = yield from _ask("schedules", "", schedules.astray)
    if astray and repair:
        saved = yield from _ask("schedules", "", partial(_save_schedules, ports))
        if saved:
            remedy = "Delete what no deployment has: aws scheduler delete-schedule"
            left = yield from _ask("schedules", "", schedules.astray)
            message = f"repaired: {len(astray) - len(left or ())} fire at the queue of requests now"
            yield warning("schedules", "", message, remedy if left else "Nothing to do.")
    elif astray is not None:
        yield check_schedules(astray)


def _save_schedules(ports: Ports) -> bool:
    for name in ports.store.deployments():
        deployment = deployment_named(ports, name)
        ports.schedules.sync(name, active_schedules(deployment), deployment.schedules)
    return True


# -- pools ------------------------------------------------------------------------------------


def _pools(ports: Ports, deployed: Container[str] | None, *, repair: bool) -> Iterator[Finding]:
    """Whether each pool's platforms are `deployed`, if that is known, and its ledger is right. To
    repair, every run is read."""
    names = yield from _ask("ledger", "", ports.store.pool_names)
    for name in names or ():
        pool = yield from _ask("ledger", name, partial(ports.store.pool, name))
        if pool is None:
            continue
        platforms = yield from _ask("pool", name, partial(_platforms, pool))
        if deployed is not None and platforms is not None:
            yield from check_pool(name, platforms, deployed)
        found = yield from _ask("ledger", name, partial(recount, ports, pool, every_run=repair))
        if found is None:
            continue
        if repair and not found.right:
            yield from _repaired(ports, found)
        else:
            yield _counted(pool, found)


def _used(ports: Ports) -> set[str]:
    """The platforms of all pools."""
    return {platform for pool, _ in pools_of(ports) for platform in _platforms(pool)}


def _platforms(pool: Pool) -> list[str]:
    """Its own first. Raises Invalid (`unknown_type`) if one of them is not known here."""
    types = [pool.type, *(fallback.type for fallback in pool.fallbacks)]
    return list(dict.fromkeys(entry_for(each).platform for each in types))


def _counted(pool: Pool, found: Recount) -> Finding:
    if found.right:
        over = f", {found.held - pool.slots} above the limit" if found.held > pool.slots else ""
        return fine("ledger", pool.name, f"{found.held} slots held{over}")
    return problem("ledger", pool.name, _text(found), "push-dispatch doctor --repair")


def _repaired(ports: Ports, found: Recount) -> Iterator[Finding]:
    def repair() -> bool:
        put_right(ports, found)
        return True

    if (yield from _ask("ledger", found.pool, repair)):
        remedy = "Nothing to do: the next sweep starts what can start."
        yield warning("ledger", found.pool, f"repaired: {_text(found)}", remedy)


def _text(found: Recount) -> str:
    parts = (
        (len(found.drifted), "held by attempts that are over"),
        (len(found.missing), "in flight without a slot"),
        (len(found.lost), "waiting and not in line"),
    )
    return ", ".join(f"{number} {what}" for number, what in parts if number)


# -- details ----------------------------------------------------------------------------------


def _ask(
    check: str, subject: str, ask: Callable[[], _Answer]
) -> Generator[Finding, None, _Answer | None]:
    """The answer; None and a finding if there is none."""
    try:
        return ask()
    except FunctionFailed as error:
        remedy = "Read the function's log. A function of an older version knows no such question."
        yield problem(check, subject, str(error), remedy)
    except ClientError as error:
        code = code_of(error)
        if check == "table" and code == "ResourceNotFoundException":
            message = "there is no such table in this account and region"
            remedy = "Choose another --region or --profile, or set PUSH_DISPATCH_TABLE."
            yield problem(check, subject, message, remedy)
        else:
            denied = "AccessDenied" in code
            remedy = "Ask an administrator for the permission." if denied else "Try again."
            yield unknown(check, subject, f"could not be read: {error}", remedy)
    except Unreadable as error:
        yield problem(check, subject, error.message, "Correct the item in the table.")
    except (BotoCoreError, PushDispatchError) as error:
        yield unknown(check, subject, f"could not be read: {error}", "Try again.")
    return None
