"""Has every cell of `docs/comparison.md` a source, or does it say that there is none?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs/comparison.md").read_text(encoding="utf-8")
TABLES = {
    table.partition("\n")[0]: re.findall(
        r"^\| (?!if you|---)(.+?) \| (.*) \|$", table, re.MULTILINE
    )
    for table in PAGE.split("\n## ")[2:-1]
}
OTHERS = ("Prefect", "AWS Batch", "Dagster+", "Kueue", "Temporal", "SkyPilot")
#: Nothing to link.
UNSOURCED = ("Not ", "Open source; the cluster", "Open source; the machines")


@pytest.mark.parametrize("title", TABLES)
def test_a_table_has_every_system_and_each_cell_its_source(title: str) -> None:
    _, *rows = TABLES[title]  # without the head
    assert rows[0][0] == "push-dispatch"
    for system in OTHERS:
        assert any(name.startswith(system) for name, _ in rows), system
    for name, cell in rows[1:]:
        sourced = re.search(r"\]\((https://|[\w/.-]+\.md)", cell)
        assert sourced or cell.startswith(UNSOURCED), f"{name}: {cell}"


def test_it_says_what_is_missing_here() -> None:
    assert len(TABLES) >= 10
    assert "## What push-dispatch does not have" in PAGE
