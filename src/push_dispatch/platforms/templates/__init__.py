"""Which base job template does a pool have whose owner brings none?"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.registry import entry_for

__all__ = ["default_template"]


def default_template(pool_type: str) -> dict[str, Any]:
    """The default base job template for pools of this type, a fresh copy each time.

    A template is named after the type (`cloud-run-v2`, with or without `:push`), or after the
    platform behind it. Raises Invalid (`unknown_type`).
    """
    text = _text(pool_type)
    if text is None:
        raise Invalid(
            f"type {pool_type!r} has no default template: pass one with --base-job-template",
            reason=Reason.UNKNOWN_TYPE,
        )
    template: dict[str, Any] = json.loads(text)
    return template


@cache
def _text(pool_type: str) -> str | None:
    names = (
        pool_type.replace(":", "-"),
        pool_type.partition(":")[0],
        entry_for(pool_type).platform,
    )
    for name in names:
        file = files(__name__).joinpath(f"{name}.json")
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None
