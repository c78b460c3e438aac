"""Flows for the bridge's tests. They run in Prefect's own environment."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from prefect import flow, suspend_flow_run


@flow
def quick() -> None:
    """Ends at once."""


@flow
def slow() -> None:
    """Runs until somebody stops it, or two minutes."""
    time.sleep(120)


@flow
def fails() -> None:
    raise ValueError("on purpose")


@flow
def dies() -> None:
    """The whole process tree, as the kernel does when there is no memory left."""
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


@flow
def suspends() -> None:
    """Exits, and goes on after a resume."""
    mark = Path(os.environ["MARK"])
    if not mark.exists():
        mark.touch()
        suspend_flow_run(timeout=600)


@flow
def tells() -> None:
    """Leaves what it finds in its environment."""
    names = sorted(n for n in os.environ if n.startswith(("PREFECT_", "PREFECT__", "TOLD")))
    Path(os.environ["MARK"]).write_text("".join(f"{n}={os.environ[n]}\n" for n in names))
