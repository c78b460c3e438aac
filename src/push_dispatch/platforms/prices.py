"""What does infrastructure cost, by which price list?

`prices.json` has an entry per platform with the day it was read and where; prices are on-demand
list prices in US dollars, without discounts, taxes and free tiers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["prices"]


@cache
def prices(platform: str) -> Mapping[str, Any]:
    """The platform's entry. Raises KeyError if it has none."""
    text = (resources.files("push_dispatch.platforms") / "prices.json").read_text("utf-8")
    entry: dict[str, Any] = json.loads(text)[platform]
    return entry
