"""`push-dispatch restore`: a system comes back from a copy of its table."""

from __future__ import annotations

import time
from dataclasses import asdict

from push_dispatch.cli.backend import backend
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import dim, print_json, say
from push_dispatch.core.errors import Refused

__all__ = ["restore"]

_EVERY = 10_000


def restore(table: str, /, *, common: Common = Common()) -> None:
    """Copy everything from a table, such as point-in-time recovery makes, into the system's own.

    The system, which PUSH_DISPATCH_TABLE names, must be a new one, without pools: nothing is
    overwritten. Runs go on as they are in the copy; what has ended since is noticed within minutes.
    """
    from push_dispatch.ops.account import Account
    from push_dispatch.ops.restore import restore as copy

    chosen = backend(common)
    if chosen.local is not None:
        raise Refused("a local runtime is not restored: its --data-dir is all of it")
    printed = 0

    def tell(items: int) -> None:
        nonlocal printed
        if items - printed >= _EVERY:
            printed = items
            dim(f"{items:,} items")

    account = Account(chosen.session)
    done = copy(chosen.ports, account, table, chosen.table, tell=tell, pause=time.sleep)
    if common.json:
        print_json(asdict(done))
    else:
        say(f"Restored {done.items:,} items: {done.pools} pools, {done.deployments} deployments.")
