"""Can the tables of what platforms answer be read, and do they say something about each row?"""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.ends import End, ends, explained
from push_dispatch.platforms.refusals import Answer, Reaction, Refusals, rows

PACKAGE = "push_dispatch.platforms"
FILES = sorted(
    str(folder.name)
    for folder in resources.files(PACKAGE).iterdir()
    if folder.is_dir() and (folder / "answers.toml").is_file()
)
TABLES = [
    (name, table)
    for name in ("", *FILES)
    for table in tomllib.loads(
        (resources.files(PACKAGE) / name / "answers.toml").read_text("utf-8")
    )
    if table != "words"  # filled into the patterns of the others
]


def test_each_platform_that_is_asked_over_a_network_has_its_tables() -> None:
    assert FILES == [
        "aci", "cloud_run", "coiled", "docker", "ecs", "kubernetes", "modal", "vertex",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_each_row_of_a_table_can_be_read(name: str, table: str) -> None:
    module = f"{PACKAGE}.{name}.refusal".replace("..", ".")
    if table in {"errors", "failures", "pulls", "sign_in", "eks", "web_identity"}:
        found = rows(module, table)
        assert all(row.remedy.endswith((".", "com")) for row in found)
    else:
        found = ends(module, table)  # type: ignore[assignment]
    assert found
    for row in found:
        assert row.reason in REASONS
        re.compile(row.pattern)
        assert "<" not in row.pattern.replace("(?<", ""), "a word that the file does not explain"


def test_a_pattern_may_be_a_list() -> None:
    found = next(row for row in rows(f"{PACKAGE}.docker.refusal", "pulls") if "EOF" in row.pattern)
    assert found.matches(0, "Get x: EOF")
    assert found.matches(0, "dial tcp: i/o timeout")
    assert not found.matches(0, "manifest unknown")


def _plain(message: tuple[int, str]) -> Answer:
    return Answer(*message)


def test_what_a_request_needs_and_is_gone_is_final_and_a_question_concludes_nothing() -> None:
    [gone] = [r for r in rows(f"{PACKAGE}.vertex.refusal") if r.reaction is Reaction.GONE]
    refusals = Refusals((gone,), _plain)
    assert type(refusals.error((404, "NOT_FOUND: x"))).__name__ == "Rejected"
    assert type(refusals.uncertain((404, "NOT_FOUND: x"))).__name__ == "Uncertain"
    assert type(refusals.unstarted((404, "NOT_FOUND: x"))).__name__ == "Rejected"
    assert refusals.gone((404, "NOT_FOUND: x"))


def test_names_are_no_words_unless_a_table_is_anchored() -> None:
    known = (End("no_capacity", pattern="quota"),)
    assert explained(known, "in projects/quota-x/locations/y") is None
    assert explained(known, "Quota exceeded") == known[0]
