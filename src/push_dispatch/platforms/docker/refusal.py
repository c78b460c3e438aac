"""What does a refusal of the container engine mean? The tables are in `answers.toml`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from push_dispatch.platforms.refusals import Answer, Refusals, rows

__all__ = ["ERRORS", "PULLS", "PULL_ERRORS", "REFUSALS"]

ERRORS, PULL_ERRORS = rows(__name__), rows(__name__, "pulls")


def _read(error: Any) -> Answer:
    """An APIError of docker-py, or what it raises instead of an answer: it wraps whatever happens
    while it asks for the engine's version."""
    causes = list(_causes(error))
    for cause in causes:
        if status := getattr(cause, "status_code", None):
            return Answer(status, str(getattr(cause, "explanation", None) or cause))
    if any(isinstance(cause, ConnectionRefusedError | FileNotFoundError) for cause in causes):
        return Answer(0, f"the engine cannot be reached: {error}")
    if any(isinstance(cause, OSError) for cause in causes):  # those of requests are such, too
        return Answer(0, f"the engine did not answer: {error}")
    return Answer(0, f"the engine was not asked: {error}")


def _causes(error: Any) -> Iterator[BaseException]:
    """The exceptions behind one: requests hides them in arguments as well."""
    while isinstance(error, BaseException):
        yield error
        inner = [argument for argument in error.args if isinstance(argument, BaseException)]
        error = inner[-1] if inner else error.__cause__ or error.__context__


def _text_of(error: Any) -> Answer:
    return Answer(getattr(error, "status_code", None) or 0, str(error))


REFUSALS = Refusals(ERRORS, _read, clean=str)
#: Of errors, and of the words that come in the middle of an answer that began well.
PULLS = Refusals(PULL_ERRORS, _text_of, clean=str)
