"""`push-dispatch platform`: which platforms are there?"""

from __future__ import annotations

from cyclopts import App

from push_dispatch.cli.output import print_json

__all__ = ["app"]

app = App(name="platform")


@app.command
def ls(*, json: bool = False) -> None:
    """List the platforms, the types of pools that they serve, and what is installed."""
    from push_dispatch.cli.tables import show_table
    from push_dispatch.platforms.registry import entries

    found = list(entries())
    if json:
        print_json(
            [
                {
                    "platform": e.platform,
                    "types": list(e.types),
                    "installed": e.installed,
                    "install": e.hint,
                }
                for e in found
            ]
        )
        return
    show_table(
        ("PLATFORM", "TYPES", "INSTALLED"),
        [(e.platform, ", ".join(e.types), "yes" if e.installed else e.hint) for e in found],
    )
