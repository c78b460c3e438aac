"""What is push-dispatch? Self-hosted push work pools.

Importing the package costs next to nothing: no SDK, no third-party module is loaded until the
part that needs it is imported.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up when asked for: `importlib.metadata` costs tens of milliseconds."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - the point of this function

    return version("push-dispatch")
