"""How does a run become a process of this machine?

`adapter` has the verbs, `attempt` the files and the process group of one attempt.
"""

from __future__ import annotations

from push_dispatch.platforms.process.adapter import Process, stop_all

__all__ = ["Process", "stop_all"]
