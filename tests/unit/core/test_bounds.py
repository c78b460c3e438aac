"""Is what no honest document needs refused, in time and with words?"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from push_dispatch.core.bounds import MAX_DEPTH, check_document, parse_json, printable, short
from push_dispatch.core.errors import Invalid
from push_dispatch.core.schemas import misfits, schema_problems, within
from push_dispatch.core.template import Layer
from push_dispatch.core.validation import check, check_template

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def laughs() -> list[Any]:
    """What YAML's aliases make of nine short lines."""
    value: list[Any] = ["ha"] * 9
    for _ in range(9):
        value = [value] * 9
    return value


@given(JSON)
def test_what_json_and_utf8_express_is_taken(value: Any) -> None:
    check_document(value)
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nested(MAX_DEPTH + 1), "nested more than 100"),
        (laughs(), "more than 200,000 values"),
        ({"a": {"b": ["\ud800"]}}, r"^a.b\[0\]: text is not valid Unicode"),
        ({"\udfff": 1}, "not valid Unicode"),
        ({"a": float("nan")}, "^a: nan is not a number"),
        ({"a": 10**4300}, "^a: a number has more than"),
        ({"a": {1, 2}}, "is a set, which JSON cannot express"),
        ({"a": {1: 2}}, "^a: the name 1 is not text"),
    ],
    ids=["deep", "laughs", "surrogate", "name", "nan", "digits", "set", "number"],
)
def test_what_they_cannot_express_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_document(value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 3000 + "1" + "}" * 3000,
        "1" * 5000,
        "[1e999]",
        '["\\ud800"]',
        "[NaN]",
        "{",
        b"\xff",
        b'["\xed\xa0\x80"]',
    ],
    ids=range(9),
)
def test_no_text_gets_past_the_parser(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@given(st.text())
def test_what_is_printable_steers_no_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in shown)
    assert printable(shown, colours=True) == shown


def test_colours_may_stay_and_nothing_else() -> None:
    text = "\x1b[31mred\x1b[0m \x1b]52;c;Y2xpcA==\x07 \x1b[2J"
    assert printable(text, colours=True) == "\x1b[31mred\x1b[0m ␛]52;c;Y2xpcA==␇ ␛[2J"
    assert "\x1b" not in printable(text)


def test_words_are_cut_to_what_an_item_has_room_for() -> None:
    assert short("fine") == "fine"
    assert len(short("x" * 10**6)) == 2000
    short("\ud800").encode()


# -- schemas of others ---------------------------------------------------------------------------


def template(**declared: Any) -> dict[str, Any]:
    return {"job_configuration": {"a": "{{ a }}"}, "variables": {"properties": {"a": declared}}}


@pytest.mark.parametrize("reference", ["http://127.0.0.1:1/x", "file:///etc/passwd", "other.json"])
def test_a_reference_never_leaves_the_document(reference: str) -> None:
    wanted = template(**{"$ref": reference})
    with pytest.raises(Invalid, match="leads out of the document"):
        check_template(wanted)
    # A template that was stored before, or by somebody else.
    with pytest.raises(Invalid, match="stays inside the document") as caught:
        check(wanted, [Layer("run", {"a": 1})])
    assert caught.value.reason == "invalid_template"


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"$ref": "#/$defs/nowhere", "default": 1}, "stays inside the document"),
        ({"pattern": "(", "default": "x"}, "is not a .regex"),
        ({"$ref": "#/properties/a", "default": 1}, "round in a circle"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(declared: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        check_template(template(**declared))
    assert caught.value.reason == "invalid_template"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 40 + "b"),
        ({"uniqueItems": True}, [{"a": n} for n in range(20_000)]),
    ],
    ids=["backtracking", "unique"],
)
def test_a_check_that_takes_too_long_is_refused(schema: Any, value: Any) -> None:
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(Invalid, match="takes too long"):
        misfits(schema, value, "the variables")


def test_what_a_busy_machine_does_meanwhile_does_not_count() -> None:
    """A function that got no CPU for a second refused sound requests for good."""
    with within(0.01, "it takes too long", "invalid_input"):
        threading.Event().wait(0.1)


def test_twenty_thousand_unknown_variables_are_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(Invalid, match="19,980 more variables"):
        check(template(type="string"), [Layer("run", {f"n{n}": n for n in range(20_000)})])
    assert time.process_time() - began < 5, "nine seconds, once"


def test_a_sound_schema_has_no_problems() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"pattern": "^[a-z]+$"}}}
    assert list(schema_problems(schema)) == []
    assert misfits(schema, {"a": "x"}, "it") == []
