"""Does a document fit a JSON Schema that somebody else has written?

A schema is input like any other: a reference in it must not make us fetch or read anything, and a
pattern in it must not keep us busy. `jsonschema` does the checking, within these bounds.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["SECONDS", "misfits", "schema_problems", "within"]

#: A schema and a document that take longer than this together are refused.
SECONDS = 1.0
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def misfits(
    schema: Mapping[str, Any], value: Any, what: str, *, reason: str = Reason.INVALID_TEMPLATE
) -> list[ValidationError]:
    """What in `value` the schema does not allow, in the order of the paths.

    Raises Invalid with `reason` if the schema cannot be used: a reference that leads nowhere or
    in a circle, a pattern that is none, a check that takes more than `SECONDS`.
    """
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - not on the path of a run
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    # The registry knows the meta-schemas and nothing else: it fetches and reads nothing.
    validator = Draft202012Validator(schema, registry=REGISTRY)
    try:
        with within(SECONDS, f"{what}: checking it takes too long", reason):
            found = list(validator.iter_errors(value))
    except Unresolvable as error:
        message = f"{what}: {error}; a reference stays inside the document, such as #/$defs/NAME"
        raise Invalid(message, reason=reason) from error
    except RecursionError:
        raise Invalid(f"{what}: its references go round in a circle", reason=reason) from None
    except re.error as error:
        raise Invalid(f"{what}: a pattern is not valid: {error}", reason=reason) from error
    return sorted(found, key=lambda error: list(map(str, error.path)))


def schema_problems(schema: Any) -> Iterator[tuple[str, str]]:
    """What in a schema is wrong whatever it is used for: the path and the problem."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - rarely needed

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield ".".join(map(str, error.path)), error.message
        return
    yield from _unusable(schema, ())


def _unusable(part: Any, path: Sequence[str]) -> Iterator[tuple[str, str]]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            inner = (*path, str(key))
            if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
                problem = f"{value!r} leads out of the document: define it under $defs"
                yield ".".join(inner), problem
            elif key not in ("default", "const", "enum", "examples"):
                yield from _unusable(value, inner)
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from _unusable(value, (*path, str(number)))


@contextmanager
def within(seconds: float, message: str, reason: str) -> Iterator[None]:
    """Raise Invalid if the body takes more time of the CPU than this.

    By a timer's signal, which also stops a regular expression that backtracks. It counts what this
    process uses, so that a busy machine refuses nothing. Signals reach the main thread only, where
    functions and the command line run: elsewhere there is no bound.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def expire(*_: object) -> None:
        raise Invalid(message, reason=reason)

    before = signal.signal(signal.SIGVTALRM, expire)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
