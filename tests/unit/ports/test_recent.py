"""Which runs does a process remember?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.core.model import Run, RunState
from push_dispatch.ports.recent import Recent

RUNNING = Run("p", "u", "default", 0, 0, "u", state=RunState.RUNNING, attempt=1)


def test_what_was_written_is_remembered_for_its_attempt() -> None:
    recent = Recent()
    recent.keep(RUNNING, 0)
    assert recent.get("p.u", 1, 3_599_999) is RUNNING
    assert recent.get("p.u", 2, 0) is None
    assert recent.get("p.v", 1, 0) is None


@pytest.mark.parametrize("now", [3_600_000, -1])
def test_for_an_hour(now: int) -> None:
    recent = Recent()
    recent.keep(RUNNING, 0)
    assert recent.get("p.u", 1, now) is None


@pytest.mark.parametrize(
    "changes",
    [{"state": RunState.COMPLETED}, {"state": RunState.SCHEDULED}, {"unreadable": "tags"}],
)
def test_what_has_ended_waits_or_is_malformed_is_forgotten(changes: dict[str, Any]) -> None:
    recent = Recent()
    recent.keep(RUNNING, 0)
    recent.keep(replace(RUNNING, **changes), 0)
    assert recent.get("p.u", 1, 0) is None


def test_the_last_ones_are_kept() -> None:
    recent = Recent()
    for number in range(100):
        recent.keep(replace(RUNNING, uuid=str(number)), 0)
    assert recent.get("p.35", 1, 0) is None
    assert recent.get("p.36", 1, 0) is not None
