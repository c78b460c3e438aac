"""Which platforms are there, and what can each do?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from push_dispatch.platforms.base import Capabilities
from push_dispatch.platforms.capabilities import capabilities_of
from push_dispatch.platforms.registry import Entry, entries

if TYPE_CHECKING:
    from push_dispatch.platforms.base import Platform

__all__ = ["platform_views"]


def platform_views(load: Callable[[str], Platform]) -> list[dict[str, Any]]:
    """List the platforms with their types of pools and what they can do beyond starting, watching
    and stopping runs; `load` makes those of third parties, which say it themselves."""
    return [_view(entry, _capabilities(entry, load)) for entry in entries()]


def _view(entry: Entry, can: Capabilities | None) -> dict[str, Any]:
    return {
        "platform": entry.platform,
        "types": list(entry.types),
        "installed": entry.installed,
        "install": entry.hint,
        "capabilities": can and [f.name for f in fields(can) if getattr(can, f.name) is True],
    }


def _capabilities(entry: Entry, load: Callable[[str], Platform]) -> Capabilities | None:
    """Of a third party's platform what its class says; None if it cannot be loaded."""
    if entry.capabilities is not None:
        return entry.capabilities
    try:
        return capabilities_of(load(entry.platform))
    except Exception:  # noqa: BLE001 - somebody else's code: one platform never costs the list
        return None
