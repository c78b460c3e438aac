"""Do tables fit 60 columns with whole states, reasons and queues, and end no line in blanks?"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from rich.console import Console

from push_dispatch.cli import grid, output, tables

_LONGEST = "resource_initialization_failed"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes standard output a terminal of that width."""

    def resize(width: int) -> None:
        terminal = Console(force_terminal=True, color_system=None, width=width)
        monkeypatch.setattr(grid, "console", lambda: terminal)
        found = output.Screen(is_terminal=True, width=width, styles=False, colours=False)
        monkeypatch.setattr(grid, "screen", lambda: found)

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


TEXT = st.text(st.sampled_from("ab .[]ü日"), max_size=9).map(str.strip)


@given(st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=1, max_size=4))
@settings(max_examples=60)
def test_what_fits_looks_as_rich_would_print_it(rows: list[list[str]]) -> None:
    """Without loading rich, which takes longer than the rest of a command."""
    header = ("RUN", "", "NAME")
    quick, rich = StringIO(), StringIO()
    with redirect_stdout(quick):
        assert grid._print_lines([header, *rows])
    with redirect_stdout(rich):
        output.console.cache_clear()
        grid.print_rows(grid.table_of(header, rows))
    assert quick.getvalue() == rich.getvalue()


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_sees_styles_if_it_shows_them(
    term: str, no_color: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("COLUMNS", "100")
    for name in output._RICHS_OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    grid.show_table(("STATE", "NAME"), [(tables.state("FAILED"), "x")])
    printed = capsys.readouterr().out
    assert ("\x1b[1mSTATE\x1b[0m" in printed) is (term != "dumb")
    assert ("\x1b[31mFAILED\x1b[0m  x\n" in printed) is (term != "dumb" and not no_color)
