"""How is something shown live, until a key ends it?"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from push_dispatch.cli.output import console

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["show_live"]


def show_live(draw: Callable[[], RenderableType], seconds: float, *, screen: bool) -> None:
    """Show what `draw` returns, again every so many seconds, until q or Ctrl-C. With `screen` on a
    screen of its own, otherwise it stays when it ends."""
    from rich.live import Live

    with _keys() as pressed, Live(console=console(), auto_refresh=False, screen=screen) as live:
        while True:
            live.update(draw(), refresh=True)
            if pressed(seconds) in ("q", "Q"):
                return


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Yield a function that waits for a key for so many seconds; empty if none is pressed. Without
    a POSIX terminal it only waits."""
    try:
        import termios
        import tty
    except ImportError:  # Windows: Ctrl-C ends it
        yield _pause
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        yield lambda seconds: _key(keyboard, seconds)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _key(keyboard: int, seconds: float) -> str:
    ready, _, _ = select.select([keyboard], [], [], seconds)
    # An end of input is no key, and would be ready again at once.
    return (os.read(keyboard, 1).decode("latin-1") or "q") if ready else ""


def _pause(seconds: float) -> str:
    time.sleep(seconds)
    return ""
