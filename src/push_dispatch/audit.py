"""What has been missed? Every run that has not ended, told to dispatch as if it had just changed.

For a start after a stop, when the stream has forgotten what nobody read, and for repairs.
"""

from __future__ import annotations

from itertools import islice

from push_dispatch.dispatch import dispatch, hints_of
from push_dispatch.model import RunState
from push_dispatch.ports import Ports
from push_dispatch.store import Change

__all__ = ["audit"]

_UNDER_WAY = frozenset({state for state in RunState if not state.ended})
_BATCH = 500


def audit(ports: Ports) -> int:
    """Look at every run of every pool and return how many have not ended. Idempotent, and safe
    beside anything else. Reads the whole history: for rare use. Raises Unavailable, Conflict."""
    found = 0
    for pool in ports.store.pool_names():
        runs = iter(ports.store.list_runs(pool, states=_UNDER_WAY))
        while batch := list(islice(runs, _BATCH)):
            found += len(batch)
            for name, hints in hints_of(Change(pool, None, run) for run in batch).items():
                dispatch(ports, name, hints)
        dispatch(ports, pool, thorough=True)
    return found
