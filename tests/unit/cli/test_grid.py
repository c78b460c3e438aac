"""Do tables fit 60 columns with whole states, reasons and queues, and end no line in blanks?"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from push_dispatch.cli import grid, output, tables

_LONGEST = "resource_initialization_failed"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes standard output a terminal of that width."""

    def resize(width: int) -> None:
        terminal = Console(force_terminal=True, color_system=None, width=width)
        for module in (grid, output, tables):
            monkeypatch.setattr(module, "console", lambda: terminal)

    return resize


def run_of(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"etl.01a219e9-8f3e-758c-a9e1-5e8ce43{number:05x}",
        "queue": "default",
        "state": "CANCELLING",
        "reason": _LONGEST,
        "scheduled_time": "2026-01-01T00:00:00.000Z",
        "name": "a name of the run",
        "attempts": [],
        "deployment": "nightly",
        "pool": "etl",
        **fields,
    }


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_runs_fit_and_their_words_stay_whole(
    width: int, narrow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(width)
    tables.show_runs([run_of(number) for number in range(20)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    for line in lines[1:]:
        assert len(line) <= width
        assert re.match(rf"[0-9a-f]{{6}}  default  CANCELLING  {_LONGEST}", line)
    assert ("nightly" in lines[1]) == (width == 200)


def test_a_queue_is_cut_before_a_reason_is(narrow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    narrow(60)
    tables.show_runs([run_of(1, queue="q" * 63)])
    _, line = capsys.readouterr().out.splitlines()
    assert line.endswith(_LONGEST)
    assert "q…" in line


def test_ids_are_as_long_as_tells_them_apart(narrow: Any) -> None:
    narrow(60)
    ids = ["a.01-111111", "b.01-111111", "a.02-111111"]
    shown = grid.short_ids(ids)
    assert len(set(shown.values())) == 3
    assert grid.short_ids(["a.01-111111"]) == {"a.01-111111": "111111"}


def test_a_pipe_gets_whole_ids_and_no_blanks_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output.console.cache_clear()
    run = run_of(1, name="")
    tables.show_runs([run, run_of(2)])
    lines = capsys.readouterr().out.splitlines()
    assert run["id"] in lines[1]
    assert [line for line in lines if line != line.rstrip()] == []
