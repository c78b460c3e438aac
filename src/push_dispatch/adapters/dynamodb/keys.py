"""Under which keys does everything live in the one table?"""

from __future__ import annotations

from dataclasses import replace

from push_dispatch.core.model import NOT_DUE_LANE, Ready

__all__ = [
    "ATTACHMENTS",
    "AUDIT",
    "BASES",
    "CONFIG",
    "DEPLOYMENTS",
    "LEDGER",
    "MARK",
    "POOLS",
    "RETURNED",
    "SWEEP",
    "TICK_INDEX",
    "base",
    "between",
    "circuit",
    "deployment",
    "lane_prefix",
    "log",
    "logs",
    "newest",
    "places",
    "pool",
    "pool_of",
    "pool_of_runs",
    "ready",
    "ready_prefix",
    "runs",
    "taker",
    "template",
    "tick",
    "turn",
]

#: Partition that lists the pools, one small item each.
POOLS = "POOLS"
#: Partition that lists the deployments, one item each.
DEPLOYMENTS = "DEPLOYMENTS"
#: Partition that lists what pools are attached to, one item each under the pool's name.
ATTACHMENTS = "ATTACHMENTS"

CONFIG = "CONFIG"
LEDGER = "LEDGER"
#: Sort key of when the pool was last marked to be swept; a pass reads it with the ledger.
MARK = "MARK"
#: What the sort keys of the bases of a ledger begin with: before all that an overview reads.
BASES = "BASE#"
#: Sort key of how far the sweep has audited the pool's runs.
AUDIT = "AUDIT"
#: Partition and sort key of the one item that says who sweeps, and with which pool the next begins.
SWEEP = "SWEEP"

#: The one sparse index: places in line that time will change something about.
TICK_INDEX = "ticks"

#: Before the number of a run's returns, at the end of the sort key of its place.
RETURNED = "#+"

_RUNS = "RUNS#"
_POOL = "POOL#"


def pool(name: str) -> str:
    """Partition of a pool's configuration, templates, ledger and line."""
    return f"{_POOL}{name}"


def runs(name: str) -> str:
    """Partition of a pool's runs: the sort key is the run's uuid."""
    return f"{_RUNS}{name}"


def logs(name: str) -> str:
    """Partition of the logs that were kept of a pool's runs; no stream filter knows it."""
    return f"LOGS#{name}"


def log(uuid: str, attempt: int) -> str:
    """Sort key of the log of one attempt."""
    return f"{uuid}#{attempt}"


def taker(uuid: str, attempt: int) -> str:
    """Sort key of which copy of an attempt runs, beside its log."""
    return f"{uuid}#{attempt}#TAKEN"


def pool_of_runs(partition: str) -> str | None:
    """The pool whose runs are in this partition, or None if it is another kind."""
    return partition.removeprefix(_RUNS) if partition.startswith(_RUNS) else None


def pool_of(partition: str) -> str | None:
    """The pool whose configuration is in this partition, or None if it is another kind."""
    return partition.removeprefix(_POOL) if partition.startswith(_POOL) else None


def template(digest: str) -> str:
    """Sort key of a base job template."""
    return f"TEMPLATE#{digest}"


def circuit(type: str) -> str:
    """Sort key of what a pool's last pushes to a type have come to."""
    return f"CIRCUIT#{type}"


def turn(platform: str) -> str:
    """Sort key of when a pool's attempts on a platform are polled; behind all that a pass reads."""
    return f"TURN#{platform}"


def base(side: int, part: int) -> str:
    """Sort key of a part of one of the two bases of a ledger."""
    return f"{BASES}{side}#{part}"


def deployment(name: str) -> str:
    """Sort key of a deployment."""
    return name


def tick(name: str) -> str:
    """Partition of a pool in the tick index."""
    return f"TICK#{name}"


def ready_prefix(queue: str) -> str:
    """What the sort keys of a queue's places in line begin with."""
    return f"READY#{queue}#"


def between(queue: str, after: Ready | None, due: int | None, lane: str | None) -> tuple[str, str]:
    """The first and the last sort key of the places that are asked for: see `Store.line`."""
    prefix = ready_prefix(queue) if lane is None else lane_prefix(queue, lane)
    low = f"{ready(after)}\x01" if after else prefix
    # Sort keys go on with 13 digits of milliseconds, or with the name of a lane.
    return low, f"{prefix}~" if due is None else f"{prefix}{due:013d}~"


def newest(group: str) -> str:
    """Sort key of which run of a group is the newest: see `Store.supersede`."""
    return f"NEWEST#{group}"


def lane_prefix(queue: str, lane: str = "") -> str:
    """What the sort keys of the places in a queue's lanes begin with, or of those in one lane."""
    return f"LANE#{queue}#{lane}#" if lane else f"LANE#{queue}#"


def ready(entry: Ready) -> str:
    """Sort key of a place in line: by due time, earlier if it was boosted, then by submission. It
    names the run, because two runs that others have put here may have the same order. A run that
    gave its slot back keeps both; its places differ, or removing the last one might remove the next
    one."""
    lane = lane_prefix(entry.queue, entry.lane) if entry.lane else ready_prefix(entry.queue)
    place = f"{lane}{max(0, entry.placed):013d}#{entry.order}"
    named = f"{place}#{entry.run}" if entry.names_run and entry.order != entry.run else place
    return f"{named}{RETURNED}{entry.returns}" if entry.returns else named


def places(entry: Ready) -> list[str]:
    """Sort keys of a place, and of those in the lanes in which its run has one as well."""
    lanes = {entry.also_in, NOT_DUE_LANE if entry.start_by is not None else ""} - {""}
    return [ready(entry), *(ready(replace(entry, lane=lane)) for lane in sorted(lanes))]
