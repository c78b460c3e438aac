"""Does no output steer a terminal, whoever wrote what is in it?"""

from __future__ import annotations

import io
import json

import pytest

from push_dispatch.cli.output import dim, error_line, json_text, print_json, say
from push_dispatch.cli.tables import show_facts, show_table, state

EVIL = "\x1b]0;owned\x07\x9b31m\u202egnp\x00"


@pytest.fixture(autouse=True)
def _own_console(monkeypatch: pytest.MonkeyPatch) -> None:
    from push_dispatch.cli import output

    output.console.cache_clear()


def steers(text: str) -> bool:
    return any(letter < " " and letter not in "\n\t" for letter in text) or any(
        letter in text for letter in "\x7f\x9b\u202e"
    )


def test_json_has_no_raw_control_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"message": EVIL})
    out = capsys.readouterr().out
    assert not steers(out)
    assert json.loads(out) == {"message": EVIL}


def test_json_is_escaped_where_the_locale_has_no_such_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert json_text("Zoë") == '"Zoë"'
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert json_text("Zoë") == r'"Zo\u00eb"'


def test_errors_and_remarks_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    error_line(f"no {EVIL}", "not_found")
    dim(f"see {EVIL}")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: no ")
    assert "[not_found]" in captured.err
    assert not steers(captured.err)


def test_a_pipe_gets_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b[31mred\x1b[0m")
    assert capsys.readouterr().out == "\x1b[31mred\x1b[0m\n"


def test_a_remark_that_nobody_can_read_fails_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    dim("a remark")


def test_cells_of_tables_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, no controls, and nothing is cut or wrapped in a pipe."""
    long = "x" * 300
    show_table(("NAME", "STATE"), [(f"[bold]{EVIL}[/]", state("RUNNING")), (long, "")])
    show_facts([("name", "[red]"), ("empty", ""), ("none", None), ("zero", "0")])
    out = capsys.readouterr().out
    assert "[bold]" in out
    assert "[red]" in out
    assert long in out
    assert "empty" not in out
    assert "none" not in out
    assert not steers(out)


def test_an_empty_list_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("NAME",), [], nothing="There is no pool yet: push-dispatch pool create NAME")
    assert capsys.readouterr().out == "There is no pool yet: push-dispatch pool create NAME\n"
