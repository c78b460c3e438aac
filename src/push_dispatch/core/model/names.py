"""Which names and ids are taken?"""

from __future__ import annotations

import re

from push_dispatch.core.bounds import NAME
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason

__all__ = ["check_name", "first_id_at", "is_name", "is_uuid", "parse_run_id"]

_NAME = re.compile(NAME)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def check_name(name: str, what: str) -> str:
    """`name` if it may name a `what`; raises Invalid (`invalid_name`)."""
    if is_name(name):
        return name
    shown = name if len(name) <= 40 else f"{name[:40]}… ({len(name)} characters)"
    raise Invalid(
        f"{what} name {shown!r} is not valid: 1 to 63 letters, digits, '-' and '_', "
        "starting with a letter or digit",
        reason=Reason.INVALID_NAME,
    )


def is_name(text: str) -> bool:
    """Whether the text may name a pool, a queue or a deployment."""
    return _NAME.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Whether the text is a uuid as run items are keyed: in lower case, with dashes."""
    return _UUID.match(text) is not None


def first_id_at(milliseconds: int) -> str:
    """The least text that sorts before every uuid7 of that time and after all earlier ones."""
    time = f"{max(0, milliseconds):012x}"
    return f"{time[:8]}-{time[8:]}"


def parse_run_id(text: str) -> tuple[str, str]:
    """The pool and the uuid in a run id such as `etl.0199c1f0-…`; raises Invalid."""
    pool, dot, uuid = text.rpartition(".")
    if dot and _NAME.match(pool) and is_uuid(uuid):
        return pool, uuid
    raise Invalid(
        f"run id {text!r} is not valid: it looks like POOL.0199c1f0-1111-7222-8333-444455556666",
        reason=Reason.INVALID_INPUT,
    )
