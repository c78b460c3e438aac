"""What does a hint of a server say?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from push_dispatch.adapters.prefect.hints import read

_STATE = {"id": "s", "type": "SCHEDULED", "timestamp": "2026-01-01T00:00:00Z"}
GOOD: dict[str, Any] = {
    "flow_run": {"id": "r", "state": _STATE, "work_pool_id": "p", "work_queue_id": "q"},
    "deployment": None,
    "flow": {"name": "f"},
    "work_pool": {"id": "p", "updated": "2026-01-01T00:00:00Z"},
    "work_queue": {"id": "q", "priority": 2, "concurrency_limit": 3, "is_paused": False},
}


def test_a_hint_names_the_run_and_the_marks_of_its_pool_and_queue() -> None:
    hint = read(json.dumps(GOOD))
    assert hint is not None
    assert (hint.flow_run.id, hint.flow_name, hint.deployment) == ("r", "f", None)
    assert hint.pool_mark == "2026-01-01T00:00:00Z"
    assert hint.queue_mark == "2 3 False"


@pytest.mark.parametrize(
    "change",
    [
        {"flow_run": "an id, as earlier versions have had it"},
        {"flow_run": None},
        {"flow": None},
        {"work_pool": {"id": "another", "updated": "2026-01-01T00:00:00Z"}},
        {"work_queue": {"id": "another"}},
        {"work_queue": None},
    ],
)
def test_anything_else_is_a_mere_hint(change: dict[str, Any]) -> None:
    assert read(json.dumps({**GOOD, **change})) is None


@pytest.mark.parametrize("body", ["", "{}", "[]", "null", "{"])
def test_what_cannot_be_read_is_a_mere_hint(body: str) -> None:
    assert read(body) is None
