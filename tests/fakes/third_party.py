"""A package of somebody else that declares the platform `theirs` by an entry point."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import TYPE_CHECKING, Any

from push_dispatch.platforms import registry

if TYPE_CHECKING:
    import pytest

__all__ = ["Install", "installed"]

#: Installs what makes the platform.
Install = Callable[[Callable[..., Any]], None]


@contextmanager
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Hand over what installs the package; its factory may be replaced."""
    module = ModuleType("theirs")
    monkeypatch.setitem(sys.modules, "theirs", module)
    point = EntryPoint("theirs", "theirs:make", registry.ENTRY_POINTS)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: (point,))
    registry.entry_for.cache_clear()
    yield lambda factory: setattr(module, "make", factory)
    registry.entry_for.cache_clear()
