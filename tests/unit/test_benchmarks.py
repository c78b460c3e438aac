"""Do the figures of a comparison say what happened?"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.beside import stats
from benchmarks.beside.sides import Life, Marks
from benchmarks.results import Figure, chart, document


def life(queue: str, due: float, started: float | None, ended: float | None = None) -> Life:
    return Life(f"{queue}-{due}-{started}", queue, due, started, ended)


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 2), (0.51, 3), (0.75, 3), (0.95, 4), (1.0, 4)]
)
def test_a_quantile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert stats.quantile([4, 1, 3, 2], share) == value


def test_who_starts_when_another_ends_takes_its_place() -> None:
    lives = [life("q", 0, 0, 1), life("q", 0, 1, 2), life("q", 0, 0.5, 2), life("q", 0, None)]
    assert stats.most_at_once(lives) == 2
    assert stats.makespan(lives) == 2
    assert stats.used(lives, 2) == 3.5 / 4


def test_a_handover_lasts_from_an_end_to_the_start_that_takes_its_place() -> None:
    lives = [life("q", 0, 0, 1), life("q", 0, 0, 2), life("q", 0, 1.5, 3), life("q", 0, 2.25, 3)]
    assert stats.handovers(lives, 2) == [0.5, 0.25]


def test_who_is_started_although_others_were_first_is_counted() -> None:
    overtaken = life("high", 0, 5, 6)
    assert stats.inversions([overtaken, life("low", 0, 3, 4)], "high", 1, 1.0) == 1
    # Not long enough ago, or started just then.
    assert stats.inversions([life("high", 2.5, 5, 6), life("low", 0, 3, 4)], "high", 1, 1.0) == 0
    assert stats.inversions([life("high", 0, 3, 6), life("low", 0, 3, 4)], "high", 1, 1.0) == 0


def test_a_queue_at_its_limit_is_not_overtaken() -> None:
    full = [life("high", 0, 0, 2.5), life("high", 0, 5, 6), life("low", 0, 3, 4)]
    assert stats.inversions(full, "high", 1, 1.0) == 0
    assert stats.inversions(full, "high", 2, 1.0) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "more", "text"),
    [
        (2, 100, False, "50x"),
        (2, 5, False, "2.5x"),
        (4, 3, False, "0.75x BEHIND"),
        (97, 40, True, "2.4x"),
        (40, 80, True, "0.5x BEHIND"),
        (0, 3, False, "-"),
        (2, math.inf, False, "-"),
    ],
)
def test_a_ratio_says_where_we_are_behind(
    ours: float, theirs: float, more: bool, text: str
) -> None:
    assert stats.ratio(ours, theirs, more_is_better=more) == text


def test_marks_are_read_as_they_come(tmp_path: Path) -> None:
    file = tmp_path / "marks"
    marks = Marks(file)
    with file.open("a") as writer:
        writer.write("start a 1.5\nend a 2")
        writer.flush()
        assert marks.read() == {"start": {"a": 1.5}, "end": {}}
        writer.write(".5\nstart a 9\n")
    # The first start counts.
    assert marks.read() == {"start": {"a": 1.5}, "end": {"a": 2.5}}
    marks.close()


def test_a_figure_is_drawn_beside_what_it_is_compared_with() -> None:
    figures = [
        Figure("burst", "all started", "2.0 s", "2 s", "4.0 s"),
        Figure("beside", "one run", "5 ms", "", "", {"Prefect, SQLite": "1,000 ms 200x"}),
        Figure("size", "alone", "3 MB", "", "-"),
    ]
    drawn = chart(figures)
    assert drawn.count("<rect") == 4
    assert "was 4.0 s" in drawn
    assert "Prefect, SQLite: 1,000 ms 200x" in drawn
    assert "alone" not in drawn
    kept = document(figures)["figures"]
    assert isinstance(kept, list)
    assert kept[1]["others"] == {"Prefect, SQLite": "1,000 ms 200x"}
