"""In what state do streams and variables have to be before a command runs?

The environment: streams that exist, AWS_REGION for the SDK, and no proxy for loopback.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

__all__ = ["decoded", "prepare"]

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prepare() -> None:
    """Make the process's streams and variables as commands expect them. Idempotent."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no arrows shows them escaped.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if region := os.environ.get("AWS_REGION"):
        # All other SDKs read it first, as the AWS command line does; boto3 knows this one only.
        os.environ["AWS_DEFAULT_REGION"] = region
    if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        _spare_loopback()


def decoded(arguments: Sequence[str]) -> list[str]:
    """Read arguments as UTF-8 where the locale could not, as files are."""
    return [
        os.fsencode(argument).decode("utf-8", "surrogateescape")
        if any("\udc80" <= letter <= "\udcff" for letter in argument)
        else argument
        for argument in arguments
    ]


def _open_streams() -> None:
    """Replace what the caller has closed (`>&-`), in the order of their numbers: else the next
    file or socket would take the number, and get what is written."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), encoding="utf-8")
    if sys.stdout is None:
        # Writing fails, as it does for other programs.
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def _spare_loopback() -> None:
    """No proxy can reach this machine's own loopback. Children inherit this, jobs among them."""
    given = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")]
    if "*" in given:
        return
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys([*names, *_LOOPBACK]))
