"""Which platforms are ours, and what does each of them declare?

In a table beside this and not in the classes, so that it can be printed without importing a client
library: by `push-dispatch platform ls` and in docs/reference/capabilities.md. Its order is that of
the documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from push_dispatch.platforms.base import Capabilities

__all__ = ["BUILT_IN", "TABLE"]

#: By the platform's name: its class, the types of pools that it serves, the modules of its extra.
TABLE: Mapping[str, Mapping[str, Any]] = json.loads(
    Path(__file__).with_suffix(".json").read_text("utf-8")
)


def _declared(capabilities: Mapping[str, Any]) -> Capabilities:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in capabilities.items()
    }
    return Capabilities(**given)


#: By the platform's name. ECS finds no task by its token, which is good for a day.
BUILT_IN = {name: _declared(entry["capabilities"]) for name, entry in TABLE.items()}
