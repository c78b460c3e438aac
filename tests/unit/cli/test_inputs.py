"""Are files and KEY=VALUE pairs read as they are written, and is what is not JSON refused?"""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from push_dispatch.cli.inputs import read_mapping, read_pairs
from push_dispatch.core.errors import Invalid


def test_a_value_is_json_if_it_is_else_text() -> None:
    pairs = ["n=1", "t=true", 'o={"a": [1]}', "s=two words", "e=", "q=a=b", "nan=NaN", "j='x'"]
    assert read_pairs(pairs) == {
        "n": 1,
        "t": True,
        "o": {"a": [1]},
        "s": "two words",
        "e": "",
        "q": "a=b",
        "nan": "NaN",
        "j": "'x'",
    }


def test_an_environment_is_text_and_the_last_one_counts() -> None:
    assert read_pairs(["env.N=1", "env.T=true", "x=1", "x=2"]) == {
        "env.N": "1",
        "env.T": "true",
        "x": 2,
    }


@pytest.mark.parametrize("pair", ["novalue", "=1", "", "="])
def test_what_is_no_pair_is_named_with_its_option(pair: str) -> None:
    with pytest.raises(Invalid, match=f"--param {pair!r} is not of the form KEY=VALUE"):
        read_pairs([pair], "--param")


@pytest.mark.parametrize("text", ['{"a": {"b": [1, null]}}', "a:\n  b: [1, null]\n"])
def test_a_file_is_json_or_yaml(tmp_path: Path, text: str) -> None:
    file = tmp_path / "vars.yaml"
    file.write_text(text)
    assert read_mapping(file) == {"a": {"b": [1, None]}}


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    assert read_mapping(Path("-")) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "holds no object"),
        ("", "holds no object"),
        ("a: 2026-12-01", "JSON cannot express"),
        ("a: .inf", "JSON cannot express|not a number"),
        ("a: [", "vars.yaml"),
    ],
    ids=["a list", "nothing", "a date", "infinity", "half"],
)
def test_what_json_cannot_express_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "vars.yaml"
    file.write_text(text)
    with pytest.raises(Invalid, match=words) as caught:
        read_mapping(file)
    assert "vars.yaml" in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere"):
        read_mapping(tmp_path / "nowhere")
