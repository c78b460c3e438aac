"""`push-dispatch platform`: which platforms are there, and what can they do?"""

from __future__ import annotations

import os

from cyclopts import App

from push_dispatch.cli.output import print_json

__all__ = ["app"]

app = App(name="platform")


@app.command
def ls(*, json: bool = False) -> None:
    """List the platforms, the types of pools that they serve, what they can do beyond starting,
    watching and stopping runs, and what is installed."""
    from push_dispatch.cli.tables import show_table
    from push_dispatch.insight.platforms import platform_views
    from push_dispatch.platforms.registry import load

    found = platform_views(lambda name: load(name, os.environ))
    if json:
        print_json(found)
        return
    show_table(
        ("PLATFORM", "TYPES", "CAN", "INSTALLED"),
        [
            (
                p["platform"],
                ", ".join(p["types"]),
                _short(p["capabilities"]),
                "yes" if p["installed"] else p["install"],
            )
            for p in found
        ],
    )


def _short(names: list[str] | None) -> str:
    return "unknown" if names is None else ", ".join(name.replace("_", " ") for name in names)
