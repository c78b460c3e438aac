"""Where and how do commands print?

Results go to standard output, so that they can be piped; everything else goes to standard error.
Colours appear on a terminal only, and `NO_COLOR` is respected.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "dim", "error_line", "print_json", "say", "stderr_console"]

#: Piped, a table is as wide as its content: nothing is wrapped or cut.
_PIPED_WIDTH = 10_000


def say(text: str) -> None:
    """One line of result."""
    print(text)


def print_json(value: Any) -> None:
    """A result for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def dim(text: str) -> None:
    """A remark that is not a result."""
    if sys.stderr.isatty():
        stderr_console().print(text, style="dim", markup=False, highlight=False)
    else:
        # Without loading rich: scripts call often.
        print(text, file=sys.stderr, flush=True)


def error_line(message: str, reason: str) -> None:
    """`error: MESSAGE [reason]`."""
    token = f" [{reason}]" if reason else ""
    if sys.stderr.isatty():
        stderr_console().print("[bold red]error:[/] ", end="")
        stderr_console().print(f"{message}{token}", markup=False, highlight=False, soft_wrap=True)
    else:
        print(f"error: {message}{token}", file=sys.stderr)


@cache
def console() -> Console:
    """Standard output, for tables and live views."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)


@cache
def stderr_console() -> Console:
    """Standard error, for progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
