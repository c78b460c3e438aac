"""Which machines does Coiled's own client offer for some CPUs, memory or a GPU? Pure functions.

It asks for balanced machines, and for others only where both CPUs and memory are given: the list
also has burstable ones with half a gigabyte. Read off its source (1.135, `utils.py`, `core.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from push_dispatch.platforms.shared import invalid

__all__ = ["chosen", "query_for", "size_of"]

#: Families by cloud: balanced, what CPUs and memory together add, with GPUs.
_FAMILIES = {
    "aws": (r"m[56789][ig]?\.", r"|(c[56789]|r[6789])[ig]?\.", r"g4dn"),
    "gcp": (r"(e2|t2a)-standard|e2-(micro|small|medium)", r"|(e2|t2a)-high(mem|cpu)", r"n1-"),
    "azure": (r"Standard_D", r"|Standard_[EF]", r"Standard_N"),
}
#: With a GPU and nothing else, so that it is not on a machine with 96 cores.
_GPU_CORES = "4-8"
#: Machines that are offered to Coiled, the smallest first.
_OFFERED = 5
_BYTES = {"": 1.0, "mb": 1e6, "mib": 2**20, "gb": 1e9, "gib": 2**30, "tb": 1e12, "tib": 2**40}


def query_for(configuration: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the query for machines; None if the template names machines, or wants nothing
    particular. Memory may differ by a tenth, as in Coiled's client. Raises Rejected
    (`template_invalid`)."""
    cpu, memory, gpu = (configuration.get(key) for key in ("cpu", "memory", "gpu"))
    if configuration.get("vm_types") or not (cpu or memory or gpu):
        return None
    query = {"arch": "arm64" if configuration.get("arm") else "x86_64"}
    if gpu and not (cpu or memory):
        cpu = _GPU_CORES
    if cpu:
        low, high = _range("cpu", cpu)
        if not (low.isdigit() and high.isdigit()):
            raise invalid(f"cpu is {cpu!r}: it must be a number of cores, or a range such as 4-8")
        query |= {"cores": low} if low == high else {"cores__gte": low, "cores__lte": high}
    if memory:
        low, high = _range("memory", memory)
        # In megabytes, the unit of the machine list.
        query["memory__gte"] = str(round(size_of("memory", low) * 0.89 / 1e6))
        query["memory__lte"] = str(round(size_of("memory", high) * 1.1 / 1e6))
    return query


def chosen(
    machines: Iterable[Mapping[str, Any]], configuration: Mapping[str, Any], cloud: str
) -> list[str]:
    """Return the names of the machines to offer, the smallest first; empty if none fits."""
    balanced, more, with_gpu = _FAMILIES[cloud]
    both = configuration.get("cpu") and configuration.get("memory")
    families = with_gpu if configuration.get("gpu") else balanced + more * bool(both)
    fit = [machine for machine in machines if re.match(families, str(machine["name"]))]
    fit.sort(key=lambda machine: (machine.get("cores", 0), machine.get("memory", 0)))
    return [str(machine["name"]) for machine in fit[:_OFFERED]]


def _range(field: str, value: Any) -> tuple[str, str]:
    """`4`, `4-8` or [4, 8]."""
    ends = value if isinstance(value, list) else str(value).split("-")
    if len(ends) not in {1, 2}:
        raise invalid(f"{field} is {value!r}: it must be a size, or a range of two")
    return str(ends[0]).strip(), str(ends[-1]).strip()


def size_of(field: str, size: Any) -> float:
    """Return the bytes of a size such as 16GB. Raises Rejected (`template_invalid`)."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)", str(size).strip())
    unit = match[2].lower() if match else "?"
    if match is None or unit not in _BYTES:
        raise invalid(f"{field} is {size!r}: it must be a size such as 16GB")
    return float(match[1]) * _BYTES[unit]
