"""How do people use push-dispatch in a terminal?

Commands are loaded when they are called, and `--version` loads none of them.
`docs/reference/cli.md` is the reference.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["main"]

#: 128 and the number of SIGPIPE.
_BROKEN_PIPE = 141


def main() -> None:
    """The `push-dispatch` command. Exits with 0, 1 (refused or failed) or 2 (usage)."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from push_dispatch import __version__

        print(__version__)
        return
    try:
        from push_dispatch.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("push_dispatch"):
            raise
        print(
            f"error: the command line needs {error.name} [platform_not_installed]\n"
            "→ pip install 'push-dispatch[cli]'",
            file=sys.stderr,
        )
        sys.exit(1)
    code = run(arguments)
    if code == _BROKEN_PIPE:
        # As programs end that do not catch it: the shell then says 141 and nothing else.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(code)
