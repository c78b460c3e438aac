"""Does every reason say what it means and what to do, and is none written as a mere string?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import push_dispatch
from push_dispatch.core import errors
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.reasons import REASONS, Kind, Reason, describe
from push_dispatch.platforms.base import Capabilities

TOKEN = r"[a-z]+(_[a-z]+)*"
ROOT = Path(push_dispatch.__file__).parent
#: Where the words stand themselves, and what reads declarations of third parties.
DEFINITIONS = {"core/reasons.py", "platforms/capabilities.py"}
CAPABILITIES = {field.name for field in fields(Capabilities)}
#: Tokens that are also fields, states of platforms or other words: found where they are a reason.
WORDS = {
    "attached",
    "capacity",
    "completed",
    "conflict",
    "exit_code",
    "expired",
    "key_limit",
    "lost",
    "platform_rate",
    "refused",
    "running",
    "starting",
    "timeout",
    "unauthenticated",
    "usage",
}


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_sentence_and_a_remedy(reason: Reason) -> None:
    assert re.fullmatch(TOKEN, reason)
    assert reason.name == reason.upper()
    assert reason.about.token == reason
    assert re.fullmatch(r"[A-Z].*\.", reason.about.sentence)
    assert reason.about.remedy


def test_a_token_from_the_table_finds_its_reason() -> None:
    """What is stored and what third parties send is text."""
    assert describe("exit_code") is Reason.EXIT_CODE.about
    assert {"exit_code": 1}[Reason.EXIT_CODE] == 1


def test_an_unknown_token_describes_itself() -> None:
    assert describe("gpu_on_fire").sentence == "gpu on fire"


def test_every_error_has_a_reason_that_exists() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]

    assert {cls.default_reason for cls in classes} <= set(REASONS)
    assert all(issubclass(cls, PushDispatchError) and cls().message for cls in classes)


def test_what_a_person_has_decided_comes_before_what_is_full() -> None:
    waits = [reason for reason in Reason if reason.about.kind is Kind.WAIT]
    assert waits[:6] == [
        Reason.NOT_DUE,
        Reason.POOL_PAUSED,
        Reason.QUEUE_PAUSED,
        Reason.POOL_LIMIT_ZERO,
        Reason.QUEUE_LIMIT_ZERO,
        Reason.QUEUE_LIMIT,
    ]


def texts(tree: ast.AST) -> Iterator[tuple[ast.Constant, ast.AST]]:
    """Each string of a module that is no docstring and no part of a longer text, and what it is
    part of."""
    for parent in ast.walk(tree):
        lone = isinstance(parent, (ast.Expr, ast.JoinedStr))
        for node in () if lone else ast.iter_child_nodes(parent):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node, parent


def exported(tree: ast.Module) -> set[ast.AST]:
    """What stands in `__all__`."""
    return {
        node
        for each in tree.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__"
        for node in ast.walk(each.value)
    }


def is_reason(parent: ast.AST) -> bool:
    """Whether an ordinary word is a reason there: given as one, or compared with one."""
    match parent:
        case ast.keyword(arg="reason" | "default_reason"):
            return True
        case ast.Compare():
            return re.search(r"\b(reason|stop)\b", ast.unparse(parent)) is not None
        case ast.Call(func=ast.Name(id="Reject" | "Stop" | "Expire" | "GiveBack" | "Wait" | "End")):
            return True
        case _:
            return False


def literals(source: str) -> Iterator[tuple[int, str]]:
    """The reasons and capabilities that a module writes as strings, each with its line."""
    tree = ast.parse(source)
    skipped = exported(tree)
    for node, parent in texts(tree):
        word = str(node.value)
        if node in skipped or word not in CAPABILITIES | set(REASONS):
            continue
        if word not in WORDS or is_reason(parent):
            yield node.lineno, word


def test_no_reason_and_no_capability_is_written_as_a_string() -> None:
    found = [
        f"{path}:{line}: {word!r}"
        for path in sorted(ROOT.rglob("*.py"))
        if str(path.relative_to(ROOT)) not in DEFINITIONS
        for line, word in literals(path.read_text("utf-8"))
    ]
    assert found == []


def test_the_dashboard_knows_reasons_that_exist() -> None:
    """It reads them from the wire, in another language."""
    scripts = "\n".join(path.read_text("utf-8") for path in ROOT.rglob("*.js"))
    known = set(re.findall(r"\breason(?: ===|:) '(\w+)'", scripts))
    assert {"pool_not_found", "admissible"} <= known
    assert known <= set(REASONS)


@pytest.mark.parametrize(
    "source",
    [
        'raise Refused("no", reason="pool_exists")',
        'def f():\n    return "behind_others"',
        'TABLE = {4: End("timed_out")}',
        'x = Stop("expired")',
        'y = run.reason == "completed"',
        'match reason:\n    case "queue_limit" | "pool_limit":\n        pass',
        'z = getattr(platform, "passes_secrets", False)',
    ],
)
def test_a_reason_as_a_string_would_be_found(source: str) -> None:
    assert list(literals(source))


def test_words_and_explanations_are_left_alone() -> None:
    source = '"""timed_out"""\n__all__ = ["lost"]\nx = item["exit_code"], f"key_limit {1}"\n'
    assert not list(literals(source))
