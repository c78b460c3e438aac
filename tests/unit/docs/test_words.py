"""Does what a user reads use the field's words? See CONTRIBUTING.md, "Plain English"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from push_dispatch.core.reasons import Reason
from push_dispatch.ports.meter import METRICS

ROOT = Path(__file__).parents[3]
#: What to write instead.
BETTER = {
    r"\banew\b": "again",
    r"\bput right\b": "repair",
    r"\bnobody\b": "name the thing, or use the passive",
    r"\bsomebody\b": "a user, another client",
    r"\bwhatever\b": "any, every",
    r"\bis no (number|object|list|text|name)\b": "is not a ...",
    r"\bfrom \d+ on\b": "of at least N",
    r"\bgiven up\b": "dead-lettered, stopped",
    r"\bforestalled\b": "lost to a concurrent writer",
    r"\bpatience\b": "rate limit, back-off",
    r"\bsee to it\b": "ensure",
    r"\bwhose turn\b": "the next in order",
    r"\btold (of|by|apart|that)\b": "reported, identified by",
    r"\bthe queue of the\b": "name the queue",
    r"\bcould not be looked at\b": "could not be read",
    r"\bcannot be asked\b": "cannot be reached, cannot be checked",
    r"\blook again\b": "name the command",
}
#: History, and other people's words.
ELSEWHERE = ("docs/decisions/", "docs/reference/variables.json")


def pages() -> Iterator[tuple[str, str]]:
    """Each text that a user reads, with its name."""
    ours = (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "template.yaml"))
    terraform = (file for ending in ("md", "tf") for file in ROOT.glob(f"infra/**/*.{ending}"))
    remedies = (ROOT / "src").rglob("answers.toml")
    for page in (*ours, *terraform, *remedies, *(ROOT / "docs").rglob("*.md")):
        name = str(page.relative_to(ROOT))
        if not name.startswith(ELSEWHERE):
            yield name, page.read_text("utf-8")
    for reason in Reason:
        yield f"reason {reason}", f"{reason.about.sentence} {reason.about.remedy}"
    for metric in METRICS.values():
        yield f"metric {metric.name}", metric.sentence


def messages() -> Iterator[tuple[str, str]]:
    """Each text of more than a word in the code that is no documentation: errors, help, logs."""
    for file in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        inner = [n.body[0] for n in ast.walk(tree) if isinstance(n, kinds) and n.body]
        documentation = {id(first.value) for first in inner if isinstance(first, ast.Expr)}
        texts = [n for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        for node in texts:
            if " " in str(node.value).strip() and id(node) not in documentation:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", str(node.value)


TEXTS = dict(pages()) | dict(messages())


@pytest.mark.parametrize("word", BETTER)
def test_a_user_reads_the_fields_words(word: str) -> None:
    found = [
        f"{name}: {line.strip()[:100]}"
        for name, text in TEXTS.items()
        for line in text.splitlines()
        if re.search(word, line, re.IGNORECASE)
    ]
    assert not found, f"better: {BETTER[word]}\n" + "\n".join(found)


def test_the_words_are_found_where_they_are() -> None:
    assert re.search(next(iter(BETTER)), "The system was deployed anew.")
    assert len(TEXTS) > 100
