"""Which process is made of a run's job configuration? Pure but for a look at the working directory.

The configuration has the shape of Prefect's process worker: `command`, `env`, `working_dir`.
"""

from __future__ import annotations

from pathlib import Path

from push_dispatch.core.errors import Rejected
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.shared import words

__all__ = ["command_of", "directory_of"]


def command_of(job: Job) -> list[str]:
    """Return the words of the command. Raises Rejected."""
    command = words(job.configuration.get("command"))
    if not command:
        raise Rejected("the run has no command to execute", reason=Reason.PLATFORM_REJECTED)
    return command


def directory_of(job: Job) -> Path:
    """Return where it runs, the runtime's own directory if nothing is set. Raises Rejected."""
    folder = Path(job.configuration.get("working_dir") or Path.cwd()).expanduser()
    if not folder.is_dir():
        raise Rejected(
            f"working_dir {str(folder)!r} is no directory", reason=Reason.PLATFORM_REJECTED
        )
    return folder
