"""Which lines of a log are new, if it is read again and again?"""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from push_dispatch.insight.logs import Unseen


def test_each_line_is_returned_once_and_the_last_is_kept_back_while_it_may_grow() -> None:
    unseen = Unseen()
    assert unseen.of(["a", "b"], over=False) == ["a"]
    assert unseen.of(["a", "b"], over=False) == ["b"]
    assert unseen.of(["a", "b"], over=False) == []
    assert unseen.of(["a", "b", "c", "d"], over=True) == ["c", "d"]


def test_a_line_that_is_being_written_is_not_cut_in_two() -> None:
    unseen = Unseen()
    assert unseen.of(["one", "half a l"], over=False) == ["one"]
    assert unseen.of(["one", "half a line", "next"], over=False) == ["half a line"]
    assert unseen.of(["one", "half a line", "next one"], over=True) == ["next one"]


def test_a_line_that_grows_after_it_was_returned_is_returned_again() -> None:
    """A progress bar that stands still for a while."""
    unseen = Unseen()
    unseen.of(["50%"], over=False)
    assert unseen.of(["50%"], over=False) == ["50%"]
    assert unseen.of(["50% 60%"], over=False) == []
    assert unseen.of(["50% 60%"], over=True) == ["50% 60%"]


def test_of_a_log_that_lost_its_beginning_what_follows_is_new() -> None:
    """As Modal's, which has the last so many lines, and ACI's at the end of a run."""
    unseen = Unseen()
    every = [f"line {n}" for n in range(1000)]
    assert unseen.of(every[:600], over=True) == every[:600]
    assert unseen.of(every[500:700], over=True) == every[600:700]
    assert unseen.of(["ne 690", *every[691:720]], over=True) == every[700:720]
    assert unseen.of(every[900:], over=True) == every[900:], "what is between them is lost"


def test_a_log_that_is_gone_and_comes_back_is_not_returned_again() -> None:
    """As that of a container, which is deleted and kept with the run."""
    unseen = Unseen()
    assert unseen.of(["a", "b"], over=True) == ["a", "b"]
    assert unseen.of([], over=True) == []
    assert unseen.of(["a", "b", "c"], over=True) == ["c"]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.data())
def test_however_a_growing_log_is_read_each_line_comes_once(
    steps: list[int], data: st.DataObject
) -> None:
    every = [f"line {n}" for n in range(sum(steps))]
    unseen, found, upto = Unseen(), [], 0
    for step in steps:
        known, upto = upto, upto + step
        # At least three lines that were read before, or all of them.
        begin = data.draw(st.integers(0, max(0, known - 4)))
        found += unseen.of(every[begin:upto], over=False)
    found += unseen.of(every[max(0, upto - max(steps) - 10) :], over=True)
    assert found == every
