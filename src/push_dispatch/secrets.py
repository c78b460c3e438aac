"""What is behind a secret reference? Read at the push, never kept."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["read_secret"]


def read_secret(name: str, environ: Mapping[str, str]) -> str:
    """The value of the secret. Raises KeyError if there is none or it may not be read."""
    return environ[f"PUSH_DISPATCH_SECRET_{name}"]
