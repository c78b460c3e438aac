"""Do the generated pages say what the code says?"""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    wanted = "\n".join(PAGES[name]()) + "\n"
    message = "run: python docs/generate.py"
    assert (DOCS / name).read_text(encoding="utf-8") == wanted, message


def _pages() -> list[Path]:
    root = DOCS.parent
    others = ("README.md", "CONTRIBUTING.md", "infra/terraform/README.md")
    return [*DOCS.rglob("*.md"), *(root / name for name in others)]


def _anchors(page: Path) -> set[str]:
    """What a heading is called in an address, at GitHub and on the site."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = [
        re.sub(r"[^\w\- ]", "", t.lower()) for t in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    ]
    return {title.strip().replace(" ", "-") for title in titles}


def test_every_link_between_our_pages_leads_somewhere() -> None:
    broken = []
    for page in _pages():
        links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", page.read_text("utf-8"))
        for path, anchor in links:
            target = page.parent / path if path else page
            if not target.exists():
                broken.append(f"{page.name}: {path}")
            elif anchor and target.suffix == ".md" and anchor not in _anchors(target):
                broken.append(f"{page.name}: {path}#{anchor}")
    assert broken == []


def _place(text: str) -> tuple[Path, str]:
    """The file of a place such as `core/usage.py:Used`, and the name in it, if there is one."""
    path, _, name = text.partition(":")
    ours = DOCS.parent / "src/push_dispatch" / path
    return ours if ours.exists() else DOCS.parent / path, name


def test_every_place_that_answers_a_question_exists() -> None:
    text = (DOCS / "questions.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", text, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 26))
    for number, _, page, code in rows:
        places = [_place(text) for text in re.findall("`([^`{]+)`", page + code)]
        assert "](" in page or "`" in page, number
        assert places, number
        for path, name in places:
            assert path.exists(), (number, path)
            defined = rf"^(def|class) {name}\b|^{name}\b.*="
            found = not name or re.search(defined, path.read_text("utf-8"), re.MULTILINE)
            assert found, (number, path, name)


#: Read by the emulator that the runtime starts, and by no user.
INTERNAL = {"PUSH_DISPATCH_EMULATOR_KEY"}


def test_every_environment_variable_that_is_read_is_among_the_settings_and_no_other() -> None:
    root = DOCS.parent
    sources = [
        path.read_text("utf-8")
        for path in (root / "src/push_dispatch").rglob("*")
        if path.suffix in (".py", ".sh")
    ]
    read = set(re.findall(r"\bPUSH_DISPATCH_[A-Z_]*[A-Z]\b", "\n".join(sources)))
    parts = tomllib.loads((DOCS / "settings.toml").read_text("utf-8")).values()
    reported = {name for part in parts for name in part["variables"]}
    assert read - reported == INTERNAL
    assert {name for name in reported if name.startswith("PUSH_DISPATCH_")} <= read
