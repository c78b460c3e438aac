"""What does an error look like, and with which code does the program exit?

One line on standard error, `error: MESSAGE [reason]`, then what to do about it; with --json a JSON
object. Exit code 2 says
that the command line itself is wrong; 1 that what it asks for was refused or has failed.
"""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from typing import Any, TextIO

from push_dispatch.cli.output import MANNER, dim, error_line, json_text
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.reasons import Reason, describe

__all__ = ["Failure", "failure_of", "print_failure"]

#: What can be seen to be wrong without asking anybody.
_USAGE = frozenset(
    {
        Reason.USAGE,
        Reason.INVALID_INPUT,
        Reason.INVALID_LIMIT,
        Reason.INVALID_NAME,
        Reason.INVALID_PRIORITY,
        Reason.INVALID_TIME,
    }
)


#: How writing to a full, closed or broken output fails.
_OUTPUT = frozenset({errno.ENOSPC, errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO})


@dataclass(frozen=True, slots=True)
class Failure:
    """How a command ended other than well."""

    message: str
    reason: str
    code: int = 1
    #: Instead of what `reasons` recommends.
    remedy: str = ""


def failure_of(error: BaseException) -> Failure:
    """The failure behind an exception: any exception, for a traceback is a bug."""
    if isinstance(error, PushDispatchError):
        return _known(error)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", "", 130)
    if isinstance(error, BrokenPipeError):
        return Failure("", "", 141)
    if isinstance(error, OSError) and error.errno in _OUTPUT and error.filename is None:
        return Failure(f"standard output: {error.strerror}", "")
    if (missing := _missing(error)) is not None:
        return missing
    if type(error).__module__.split(".")[0] in ("boto3", "botocore"):
        return _of_aws(error)
    if os.environ.get("PUSH_DISPATCH_DEBUG"):
        raise error
    return Failure(
        f"{type(error).__name__}: {error}",
        Reason.INTERNAL_ERROR,
        remedy="PUSH_DISPATCH_DEBUG=1 shows where; please report it.",
    )


def _missing(error: BaseException | None) -> Failure | None:
    """What to install, if a library is missing that is not ours: commands are loaded late."""
    while error is not None:
        name = error.name if isinstance(error, ModuleNotFoundError) else None
        if name and not name.startswith("push_dispatch"):
            return Failure(
                f"this command needs {name}, which is not installed",
                Reason.PLATFORM_NOT_INSTALLED,
                remedy="pip install 'push-dispatch[cli,local]'",
            )
        error = error.__cause__ or error.__context__
    return None


def print_failure(failure: Failure) -> int:
    """Tell on standard error; the exit code."""
    try:
        _tell(failure)
    except OSError:
        # Nobody hears it: the code says it.
        _silence(sys.stderr)
    _silence(sys.stdout)
    return failure.code


def _tell(failure: Failure) -> None:
    if failure.message and MANNER.json:
        print(json_text(_view(failure)), file=sys.stderr, flush=True)
    elif failure.message:
        first, *more = failure.message.splitlines()
        error_line(first, failure.reason)
        for line in more:
            print(f"  {line.strip()}", file=sys.stderr)
        if remedy := _remedy(failure):
            dim(f"→ {remedy}")


def _remedy(failure: Failure) -> str:
    remedy = failure.remedy or (describe(failure.reason).remedy if failure.reason else "")
    return "" if remedy == "See the message." else remedy


def _view(failure: Failure) -> dict[str, str | None]:
    """An error for programs, one line: every field is always there."""
    return {
        "reason": str(failure.reason) or None,
        "message": failure.message,
        "remedy": _remedy(failure) or None,
    }


def _of_aws(error: Any) -> Failure:
    from push_dispatch.adapters.aws import error_for  # here it is loaded anyway

    known = error_for(error, "AWS")
    return Failure(known.message, known.reason)


def _known(error: PushDispatchError) -> Failure:
    return Failure(error.message, error.reason, 2 if error.reason in _USAGE else 1)


def _silence(stream: TextIO) -> None:
    """What is left in the buffer of a closed pipe must not raise again when Python exits."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
