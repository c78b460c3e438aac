"""Are the planted bugs found, each within its number of stories? And can they still be planted?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.planted import BUGS, Bug, plant, search
from tests.simulation.shrink import shrink


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_can_be_planted(bug: Bug, tmp_path: Path) -> None:
    """No text to replace has gone, or stands there twice."""
    plant(bug, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_it_is_found(bug: Bug) -> None:
    found = search(bug)
    assert found.seed is not None, found.output


def test_a_failure_is_shrunk_to_what_it_needs() -> None:
    assert shrink(range(40), lambda kept: {3, 17, 31} <= set(kept)) == [3, 17, 31]
