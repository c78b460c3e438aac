"""How does a command become one that reports on itself?

The wrapper travels inside the command, compressed: any image with python3, or with a POSIX shell
and curl or wget, runs it. `push_dispatch.engine.reports` is the other end.
"""

from __future__ import annotations

import base64
import re
import shlex
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.core.reasons import Reason
from push_dispatch.core.secret_references import split
from push_dispatch.ports.reporter import Reporter

__all__ = ["KINDS", "environment_for", "wrapped"]

#: Values of the job variable `reporter`.
KINDS = ("python", "sh")


def wrapped(kind: str, command: Any) -> str:
    """The command that runs `command` under the wrapper, as one text for a shell to split.

    Raises Rejected (`template_invalid`).
    """
    if kind not in KINDS:
        raise _invalid(f"reporter is {kind!r}: it must be one of {', '.join(KINDS)}")
    try:
        # A secret is filled in later, and stays one word.
        words = split(command) if isinstance(command, str) else list(command or ())
    except ValueError as error:
        raise _invalid(str(error)) from error
    if not words:
        raise _invalid("the reporter needs a command to run: the image's own is unknown here")
    return shlex.join([*_starter(kind), *map(str, words)])


@cache
def _starter(kind: str) -> Sequence[str]:
    if kind == "sh":
        return ("sh", "-c", _source("wrapper.sh"), "push-dispatch")
    packed = base64.b85encode(zlib.compress(_source("wrapper.py").encode(), 9)).decode()
    # Its alphabet has no quote and no backslash.
    unpack = f"import base64,zlib;exec(zlib.decompress(base64.b85decode('{packed}')).decode())"
    return ("python3", "-c", unpack)


def _source(name: str) -> str:
    """Without comments, blank lines and indentation that only people need."""
    lines = (files(__name__) / name).read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line.strip() and not re.match(r"\s*#", line)) + "\n"


def environment_for(
    reporter: Reporter | None, kind: str, run_id: str, attempt: int
) -> Mapping[str, str]:
    """Raises Rejected: `platform_not_configured` without a reporter, `secret_unavailable`."""
    if reporter is None:
        raise Rejected(
            f"reporter is {kind!r}, and this deployment has none: enable it, or leave it out",
            reason=Reason.PLATFORM_NOT_CONFIGURED,
        )
    try:
        return reporter.environment(run_id, attempt)
    except KeyError as error:
        raise Rejected(
            f"secret {error} cannot be read", reason=Reason.SECRET_UNAVAILABLE
        ) from error


def _invalid(message: str) -> Rejected:
    return Rejected(message, reason=Reason.TEMPLATE_INVALID)
