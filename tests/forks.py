"""Processes that begin where this one is: imports done, and nothing else.

They are forked from a server that has one thread. A fork of the test process itself would copy the
locks that its other threads hold just then, and Python warns of that.
"""

from __future__ import annotations

import multiprocessing

__all__ = ["PROCESSES"]

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.fakes.processes"])
