"""Has each guarantee of `docs/guarantees.md` its tests, its limit, and its line in the README?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (\d)\. .*\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("number", "text"), SECTIONS, ids=[number for number, _ in SECTIONS])
def test_a_guarantee_has_tests_that_exist_and_a_limit(number: str, text: str) -> None:
    assert number in "1234567"
    shown = text.partition("- **Shown by** ")[2].partition("\n")[0]
    named = re.findall(r"`((?:tests|src)/[^`]+)`", shown)
    assert named
    for path in named:
        assert "def test_" in (ROOT / path).read_text(encoding="utf-8"), path
    assert "- **Not promised:** " in text


def test_the_readme_has_as_many() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Guarantees\n")[2]
    listed = re.findall(r"^(\d)\. ", section.partition("\n## ")[0], re.MULTILINE)
    assert listed == [number for number, _ in SECTIONS] == [str(n) for n in range(1, 8)]
