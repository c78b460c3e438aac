"""`push-dispatch platform`: which platforms are there, and what can they do?"""

from __future__ import annotations

import os
from dataclasses import fields

from cyclopts import App

from push_dispatch.cli.output import print_json
from push_dispatch.platforms.base import Capabilities
from push_dispatch.platforms.registry import Entry

__all__ = ["app"]

app = App(name="platform")

#: How a capability is shown in a table; in JSON it has its own name.
_SHORT = {
    "finds_by_name": "find",
    "reads_logs": "logs",
    "reports_events": "events",
    "cleans_up": "clean-up",
    "estimates_cost": "cost",
    "signs_in": "sign-in",
    "passes_secrets": "secrets",
    "logs_go_too": "keeps-logs",
}


@app.command
def ls(*, json: bool = False) -> None:
    """List the platforms, the types of pools that they serve, what they can do beyond starting,
    watching and stopping runs, and what is installed."""
    from push_dispatch.cli.tables import show_table
    from push_dispatch.platforms.registry import entries

    found = [(entry, _capabilities(entry)) for entry in entries()]
    if json:
        print_json(
            [
                {
                    "platform": e.platform,
                    "types": list(e.types),
                    "installed": e.installed,
                    "install": e.hint,
                    "capabilities": _names(can) if can else None,
                }
                for e, can in found
            ]
        )
        return
    show_table(
        ("PLATFORM", "TYPES", "CAN", "INSTALLED"),
        [
            (
                e.platform,
                ", ".join(e.types),
                ", ".join(_SHORT[name] for name in _names(can)) if can else "unknown",
                "yes" if e.installed else e.hint,
            )
            for e, can in found
        ],
    )


def _capabilities(entry: Entry) -> Capabilities | None:
    """Of a third party's platform what its class says; None if it cannot be loaded."""
    if entry.capabilities is not None:
        return entry.capabilities
    from push_dispatch.platforms.capabilities import capabilities_of
    from push_dispatch.platforms.registry import load

    try:
        return capabilities_of(load(entry.platform, os.environ))
    except Exception:  # noqa: BLE001 - somebody else's code: one platform never costs the list
        return None


def _names(can: Capabilities) -> list[str]:
    return [field.name for field in fields(can) if getattr(can, field.name)]
