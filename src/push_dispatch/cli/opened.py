"""What has a command opened that is to be closed when it ends?"""

from __future__ import annotations

from contextlib import ExitStack

__all__ = ["OPENED"]

#: Closed at the end of each command line: several may be carried out in one process.
OPENED = ExitStack()
