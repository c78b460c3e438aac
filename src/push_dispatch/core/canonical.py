"""How is a value written so that equal values are equal texts?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["digest_of", "dumps", "text_of"]


def dumps(value: object) -> str:
    """Compact JSON, the same for the same value."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def text_of(value: object) -> str:
    """Return the text of a value: a text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def digest_of(template: Mapping[str, Any]) -> str:
    """Under which digest a template is kept."""
    return hashlib.sha256(dumps(template).encode()).hexdigest()[:16]
