"""Which options do all commands share?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter, Token

__all__ = ["Common", "whole"]


def whole(type_: object, tokens: Sequence[Token]) -> int:  # noqa: ARG001 - the converter's protocol
    """Read an integer: a converter for options. `1.5` is not one. Raises ValueError."""
    (token,) = tokens
    if not re.fullmatch(r"[+-]?[0-9]{1,15}", token.value):
        raise ValueError(f"{token.value!r} is not an integer")
    return int(token.value)


_BACKEND = Group(
    "Backend",
    help="Which pools are meant; by default those of the local runtime that is up, else AWS.",
    sort_key=10,
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """How to print, and whom to ask."""

    json: Annotated[bool, Parameter(help="Print JSON, errors too.")] = False
    quiet: Annotated[bool, Parameter(help="Do not say which backend it is.")] = False
    local: Annotated[
        str | None,
        Parameter(group=_BACKEND, metavar="NAME", help="The local runtime of that name."),
    ] = None
    profile: Annotated[
        str | None, Parameter(group=_BACKEND, help="The AWS profile of a deployment.")
    ] = None
    region: Annotated[
        str | None, Parameter(group=_BACKEND, help="The AWS region of a deployment.")
    ] = None
