"""Does `explain` pass on what the platform reports of an attempt that does not start?"""

from __future__ import annotations

from push_dispatch.core.model import Attempt, Run, RunState
from push_dispatch.insight.explain import _settled


def run(state: RunState, message: str | None) -> Run:
    attempt = Attempt(1, "kubernetes", message=message)
    return Run(
        "etl",
        "u",
        "default",
        due=1,
        submitted_at=1,
        order="u",
        state=state,
        attempt=1,
        attempts=(attempt,),
    )


def test_the_platform_s_words_stand_beside_the_reason() -> None:
    reported = _settled(run(RunState.PENDING, "0/3 nodes are available"))
    assert reported.reason == "starting"
    assert reported.sentence.endswith("It reports: 0/3 nodes are available")


def test_without_words_there_is_only_the_reason() -> None:
    assert "reports" not in _settled(run(RunState.PENDING, None)).sentence
    assert "reports" not in _settled(run(RunState.COMPLETED, "over")).sentence
