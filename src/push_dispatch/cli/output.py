"""Where and how do commands print?

Results go to standard output, so that they can be piped; everything else goes to standard error.
Colours appear on a terminal only, and `NO_COLOR` is respected.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from push_dispatch.core.bounds import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "MANNER",
    "Screen",
    "aside",
    "console",
    "dim",
    "error_line",
    "json_text",
    "print_json",
    "say",
    "screen",
    "stderr_console",
]

_UNESCAPED = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Piped, a table is as wide as its content: nothing is wrapped or cut.
_PIPED_WIDTH = 10_000
#: Variables by which people force what rich makes of standard output.
_RICHS_OWN = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def say(text: str) -> None:
    """One line of result. A terminal is not steered by it, but for the colours of a job's log."""
    print(printable(text, colours=True) if sys.stdout.isatty() else text)


def print_json(value: Any) -> None:
    """A result for programs."""
    print(json_text(value, indent=2))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON that standard output can encode: a locale without these letters gets them escaped, as
    JSON has it. It escapes C0 controls only, and a terminal obeys more: those are, too."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    return _UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@dataclass(slots=True)
class Manner:
    """How this command line wants its remarks and errors."""

    #: Errors are JSON, and nothing is said of how far things are.
    json: bool = False
    #: The backend is not named.
    quiet: bool = False


MANNER = Manner()


def aside(text: str) -> None:
    """A remark that people need and programs do not: which backend, how far it is."""
    if not MANNER.quiet and not MANNER.json:
        dim(text)


def dim(text: str) -> None:
    """A remark that is not a result."""
    text = printable(text)
    with suppress(OSError):  # a closed or full standard error fails no command
        # Without rich, which takes longer to load than the rest of most commands.
        styled = sys.stderr.isatty() and shows_styles()
        print(f"\x1b[2m{text}\x1b[0m" if styled else text, file=sys.stderr, flush=True)


def error_line(message: str, reason: str) -> None:
    """`error: MESSAGE [reason]`."""
    token = f" [{reason}]" if reason else ""
    message = printable(message)
    if sys.stderr.isatty():
        stderr_console().print("[bold red]error:[/] ", end="")
        stderr_console().print(f"{message}{token}", markup=False, highlight=False, soft_wrap=True)
    else:
        print(f"error: {message}{token}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Screen:
    """What standard output is, found without rich."""

    is_terminal: bool
    width: int
    #: Whether it shows bold and dim, and whether colours.
    styles: bool
    colours: bool


def screen() -> Screen:
    """Find what standard output is, as `console` does."""
    if any(os.environ.get(name) for name in _RICHS_OWN):
        found = console()
        return Screen(found.is_terminal, found.width, styles=False, colours=False)
    if not sys.stdout.isatty():
        return Screen(is_terminal=False, width=_PIPED_WIDTH, styles=False, colours=False)
    styles = shows_styles()
    colours = styles and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size().columns
    return Screen(is_terminal=True, width=width, styles=styles, colours=colours)


def shows_styles() -> bool:
    """Whether the terminal, if there is one, shows bold and dim."""
    return os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


@cache
def console() -> Console:
    """Standard output, for tables and live views."""
    from rich.console import Console
    from rich.text import Text

    class Printable(Console):
        """Text is shown as it is, and steers nothing; cells of tables do so themselves."""

        def print(self, *objects: Any, **options: Any) -> None:
            for each in objects:
                if isinstance(each, Text):
                    each.plain = printable(each.plain)
            shown = [printable(o) if isinstance(o, str) else o for o in objects]
            super().print(*shown, **options)

    found = Printable(highlight=False)
    return found if found.is_terminal else Printable(highlight=False, width=_PIPED_WIDTH)


@cache
def stderr_console() -> Console:
    """Standard error, for progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
