"""Is every complaint on `docs/complaints.md` answered, and is the answer shown by something?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/complaints.md").read_text(encoding="utf-8")
ROWS = [re.split(r" \| ", line) for line in re.findall(r"^\| (\d+ \|.*) \|$", PAGE, re.MULTILINE)]


def test_there_are_57_and_each_has_its_source_and_a_clear_answer() -> None:
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, 58)]
    source = r"\[[^]]+\]\(https://[^)\s]+\)"
    for _, demand, answer in ROWS:
        assert re.fullmatch(rf".* \({source}(, {source})*\)", demand), demand
        assert re.match(r"\*\*(Yes|Partly|No)\*\*.*<br>", answer), answer


def test_the_page_counts_its_answers() -> None:
    counted = [sum(row[2].startswith(f"**{word}**") for row in ROWS) for word in ANSWERS]
    assert f"{counted[0]} times yes, {counted[1]} times partly, {counted[2]} times no" in PAGE


ANSWERS = ("Yes", "Partly", "No")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_an_answer_is_shown_by_a_test_or_a_page_that_exists(row: list[str]) -> None:
    shown = row[2].partition("<br>")[2]
    if page := re.fullmatch(r"\[[^]]+\]\(([^)]+)\)", shown):
        assert (ROOT / "docs" / page[1]).is_file()
        return
    path, _, name = shown.strip("`").partition("::")
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
