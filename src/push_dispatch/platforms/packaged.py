"""What stands in a TOML file beside the code? Tables: people read them, and tests walk them."""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["packaged"]


@cache
def packaged(name: str, package: str = "push_dispatch.platforms") -> dict[str, Any]:
    """Return what is in the file, which is read once."""
    import tomllib  # noqa: PLC0415 - milliseconds, and nothing on the path of most runs
    from importlib import resources  # noqa: PLC0415

    return tomllib.loads((resources.files(package) / name).read_text("utf-8"))
