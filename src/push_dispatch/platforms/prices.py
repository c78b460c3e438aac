"""What does infrastructure cost, by which price list, and how are its sizes written?

`prices.toml` has an entry per platform with the day it was read and where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from push_dispatch.platforms.packaged import packaged

__all__ = ["cores", "mebibytes", "price", "prices"]


def prices(platform: str) -> Mapping[str, Any]:
    """The platform's entry. Raises KeyError if it has none."""
    entry: dict[str, Any] = packaged("prices.toml")[platform]
    return entry


def price(listed: Mapping[str, Any], sizes: Iterable[tuple[float, float]], seconds: float) -> float:
    """US dollars for containers of these CPUs and GiB, by an entry of the list: for so many
    seconds, and at least for its minimum."""
    hourly = sum(vcpus * listed["vcpu_hour"] + gib * listed["gb_hour"] for vcpus, gib in sizes)
    return float(hourly * max(seconds, listed.get("minimum_seconds", 0)) / 3600)


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
