"""What does infrastructure cost, by which price list, and how are its sizes written?

`prices.json` has an entry per platform with the day it was read and where; prices are on-demand
list prices in US dollars, without discounts, taxes and free tiers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["cores", "mebibytes", "prices"]


@cache
def prices(platform: str) -> Mapping[str, Any]:
    """The platform's entry. Raises KeyError if it has none."""
    text = (resources.files("push_dispatch.platforms") / "prices.json").read_text("utf-8")
    entry: dict[str, Any] = json.loads(text)[platform]
    return entry


def cores(value: Any) -> float:
    """Return the CPUs in a quantity of Kubernetes, such as `500m`. Raises ValueError."""
    text = str(value).strip()
    return float(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)


def mebibytes(value: Any) -> float:
    """Return the MiB in an amount of memory, such as `2Gi`; a number is one of bytes. Raises
    ValueError."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([a-z]*)\s*", str(value).lower())
    if match is None or match[2] not in _MIB:
        raise ValueError(f"{value!r} is not an amount of memory")
    return float(match[1]) * _MIB[match[2]]


_MIB: dict[str, float] = {"": 2**-20} | {
    letter + binary: base**power / 2**20
    for binary, base in (("", 1000), ("i", 1024))
    for power, letter in enumerate("kmgt", start=1)
}
