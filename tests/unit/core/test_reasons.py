"""Does every reason that the code gives say what it means and what to do?"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import push_dispatch
from push_dispatch.core import admission, errors
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.reasons import _ALL, REASONS, Kind, Reason, describe

TOKEN = r"[a-z]+(_[a-z]+)*"
SOURCE = Path(push_dispatch.__file__).parent


def test_a_token_stands_for_one_reason() -> None:
    assert len(REASONS) == len(_ALL)


@pytest.mark.parametrize("reason", _ALL, ids=lambda reason: reason.token)
def test_a_reason_is_a_sentence_and_a_remedy(reason: Reason) -> None:
    assert re.fullmatch(TOKEN, reason.token)
    assert re.fullmatch(r"[A-Z].*\.", reason.sentence)
    assert reason.remedy


def test_an_unknown_token_describes_itself() -> None:
    assert describe("gpu_on_fire").sentence == "gpu on fire"
    assert describe("exit_code") is REASONS["exit_code"]


def test_every_error_has_a_reason_that_exists() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]

    assert {cls.default_reason for cls in classes} <= set(REASONS)
    assert all(issubclass(cls, PushDispatchError) and cls().message for cls in classes)


def test_every_reason_that_is_raised_exists() -> None:
    """Each literal `reason="…"` of the package that looks like a token."""
    given = {
        keyword.value.value
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "reason"
        and isinstance(keyword.value, ast.Constant)
        and re.fullmatch(TOKEN, str(keyword.value.value))
    }

    assert len(given) > 10
    assert given - set(REASONS) == set()


def test_every_wait_that_is_decided_exists_in_its_order() -> None:
    """What a decision says first is what the table lists first, but for the key's neighbours."""
    source = Path(admission.__file__).read_text(encoding="utf-8")
    body = source[source.index("def reason_to_wait") : source.index("def decision")]
    decided = re.findall(r'return "(\w+)"', body)
    waits = [reason.token for reason in _ALL if reason.kind is Kind.WAIT]

    assert set(decided) <= set(waits)
    assert decided[:6] == waits[:6]
