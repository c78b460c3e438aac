"""What does an inspected container say about the attempt? Pure functions.

The exit code decides, unless the process was killed (137, 143) or never ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Observation, Status, Watched
from push_dispatch.platforms.ends import BROKEN, KILLED, End, ended
from push_dispatch.platforms.shared import milliseconds

__all__ = ["STARTING", "killed_at_a_limit", "read"]

#: Podman knows more states than Docker: configured, initialized, stopping, stopped.
STARTING = {"created", "configured", "initialized"}
_RUNNING = {"running", "paused", "restarting", "stopping"}
_ENDED = {"exited", "stopped", "dead", "removing"}
#: Exit codes that the engine gives to what could not be executed; the process has none.
_NOT_EXECUTED = {126, 127}


def read(
    watched: Watched, container: Mapping[str, Any], *, tells_memory: bool = True
) -> Observation:
    """The attempt as its inspected container shows it; `tells_memory` says whether the engine can
    be relied on to flag what it killed for its memory."""
    state = container.get("State") or {}
    status = str(state.get("Status") or "").lower()
    seen = Observation(watched.run_id, watched.attempt, Status.UNKNOWN, handle=watched.handle)
    if status in STARTING:
        return replace(seen, status=Status.STARTING)
    seen = replace(seen, started_at=milliseconds(state.get("StartedAt")))
    if status in _RUNNING:
        return replace(seen, status=Status.RUNNING)
    if status not in _ENDED:
        return replace(seen, message=f"the engine says {status!r}")
    code, message = state.get("ExitCode"), state.get("Error")
    end = End()
    if state.get("OOMKilled") and code in KILLED:
        # Else it was a child: the process itself has lived to tell.
        end = End(Reason.OUT_OF_MEMORY)
    elif not tells_memory and killed_at_a_limit(container):
        limit = container["HostConfig"]["Memory"]
        end = End(Reason.OUT_OF_MEMORY)
        message = f"killed by SIGKILL, with a memory limit of {limit} bytes"
    elif status == "dead":
        end = BROKEN
    elif message and code in _NOT_EXECUTED:
        end = End(Reason.COMMAND_NOT_FOUND, retryable=False)
    at = milliseconds(state.get("FinishedAt"))
    return ended(seen, end, message, exit_code=code, ended_at=at)


def killed_at_a_limit(container: Mapping[str, Any]) -> bool:
    """Whether it looks like a kill for memory that was not flagged as one."""
    state, limit = container.get("State") or {}, (container.get("HostConfig") or {}).get("Memory")
    return bool(limit) and state.get("ExitCode") == 137 and not state.get("OOMKilled")
