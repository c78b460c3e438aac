"""Does something end within bounds of time and memory?"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["bounded"]


@contextmanager
def bounded(seconds: float = 5, megabytes: float = 300) -> Iterator[None]:
    """Fail if the block takes more. The time is that of the CPU: what a busy neighbour takes does
    not count. The memory is by how much the peak of the process grows."""
    began, peak = time.process_time(), _peak()
    yield
    taken, grown = time.process_time() - began, _peak() - peak
    assert taken < seconds, f"it took {taken:.1f} s of CPU"
    assert grown < megabytes, f"it took {grown:.0f} MB"


def _peak() -> float:
    """In megabytes: kernels count in kilobytes, but for macOS."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
