"""Has each guarantee of `docs/guarantees.md` its tests, its limit, and its line in the README?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
ROWS = [re.split(r" \| ", line) for line in re.findall(r"^\| (\d \|.*) \|$", PAGE, re.MULTILINE)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_guarantee_has_tests_that_exist_and_a_limit(row: list[str]) -> None:
    _, guarantee, shown, not_promised = row
    assert guarantee
    assert not_promised
    named = re.findall(r"`((?:tests|src)/[^`]+)`", shown)
    assert named
    for path in named:
        assert "def test_" in (ROOT / path).read_text(encoding="utf-8"), path


def test_the_readme_has_as_many() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Guarantees\n")[2]
    listed = re.findall(r"^(\d)\. ", section.partition("\n## ")[0], re.MULTILINE)
    assert listed == [row[0] for row in ROWS] == [str(n) for n in range(1, 8)]
