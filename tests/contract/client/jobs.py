"""Functions that runs import."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

__all__ = ["FIELDS", "add", "fail"]


class Fields(TypedDict):
    """Of a submission."""

    job_variables: dict[str, object]


#: Where the processes of runs find this module.
FIELDS: Fields = {"job_variables": {"env": {"PYTHONPATH": str(Path(__file__).parents[3])}}}


def add(a: int, b: int = 10) -> int:
    return a + b


def fail() -> float:
    return 1 / 0
