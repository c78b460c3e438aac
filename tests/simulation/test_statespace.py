"""Is the model of admission and release sound, and would it say so if it were not?

Two runs take minutes: `python -m tests.simulation.statespace`, see docs/verification.md.
"""

from __future__ import annotations

import pytest

from tests.simulation.statespace import Model, explore


def test_every_state_of_one_run_is_sound_and_leads_to_the_end() -> None:
    found = explore(Model(runs=1))
    assert (found.broken, found.path) == ("", ())
    assert found.states > 10_000


@pytest.mark.parametrize(
    ("without", "runs", "what"),
    [
        ("version", 2, "a run is in flight without a slot"),
        ("release", 1, "a container lives without a slot"),
        ("claim", 1, "an attempt was started twice"),
        ("sweep", 1, "no way leads from here to the end"),
        ("audit", 1, "no way leads from here to the end"),
    ],
)
def test_a_model_without_a_rule_is_found_out(without: str, runs: int, what: str) -> None:
    found = explore(Model(runs=runs, without=without))
    assert what in found.broken
