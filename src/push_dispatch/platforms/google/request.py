"""Where is a job put in Google Cloud, and under which labels? Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from push_dispatch.platforms.shared import invalid, texts

__all__ = ["labels_for", "place_for"]

#: Of the 64 labels of a resource some are ours and Google's.
_LABELS = 48


def place_for(
    configuration: Mapping[str, Any], project: str | None, region: str | None = None
) -> tuple[str, str]:
    """Return project and region; those given are for templates that name none.

    Raises Rejected (`template_invalid`).
    """
    credentials = configuration.get("credentials")
    of_block = credentials if isinstance(credentials, Mapping) else {}
    key = of_block.get("service_account_info")
    of_key = key.get("project_id") if isinstance(key, Mapping) else None
    named = {
        "project": configuration.get("project") or of_block.get("project") or of_key or project,
        "region": configuration.get("region") or region,
    }
    for name, value in named.items():
        if not re.fullmatch(r"[a-z0-9.:-]{1,63}", str(value or "")):
            raise invalid(f"{name} is {value!r}: set the job variable of this name")
    return str(named["project"]), str(named["region"])


def labels_for(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Return the job variable `labels` as Google takes them; a key starts with a letter.

    Source: https://cloud.google.com/resource-manager/docs/labels-overview#requirements.
    Raises Rejected (`template_invalid`).
    """
    labels = texts(configuration.get("labels"), "labels")
    made = {_slug(re.sub(r"^[^A-Za-z]+", "", key)): _slug(labels[key]) for key in labels}
    return dict([pair for pair in made.items() if pair[0]][:_LABELS])


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:63].strip("-_")
