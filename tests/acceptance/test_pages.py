"""Every block of a page that can be typed is typed, and prints what the page says.

The folder is a copy of `examples/` beside nothing else; a local runtime is up in it. `ID` is the
newest run, as a reader would type it. Pages that are not walked here are walked elsewhere, or are
named below with the reason.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.tools.page import Block, blocks, matches
from tests.infra.tools.shell import Shell
from tests.local import Cli, LocalUp

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Pages whose blocks are not typed here, and why.
ELSEWHERE = {
    "docs/guides/deploy.md": "typed into a deployed system by .ci/steps/57-deploy-page.sh",
    "docs/security.md": "policies for an account: tests/unit/ops/test_key_policy.py",
}
#: Commands that the tests' own surroundings take the place of.
SURROUNDINGS = ("make ", "pip install", "push-dispatch local up")
_SECONDS = 60
#: The run that was submitted last: uuids of runs grow with time.
_NEWEST = (
    """$(push-dispatch run ls --json 2>/dev/null | python -c 'import json, sys; """
    """print(max((r["id"] for r in json.load(sys.stdin)), key=lambda i: i.split(".")[1]))')"""
)


def pages() -> list[str]:
    """Pages with something to type."""
    every = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    named = [
        str(page.relative_to(ROOT))
        for page in every
        if re.search(r"^```(sh|python|yaml)", page.read_text("utf-8"), re.MULTILINE)
    ]
    return [page for page in named if page not in ELSEWHERE]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "examples", folder / "examples")
    monkeypatch.chdir(folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    cli = Cli(tmp_path / "home", {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100"})
    made = tmp_path / "made"
    made.mkdir()
    with LocalUp(cli), Shell(folder, cli.env, made) as typed:
        yield typed


@pytest.mark.parametrize("name", pages())
def test_a_page_is_true(name: str, shell: Shell) -> None:
    for block in blocks((ROOT / name).read_text("utf-8")):
        printed = _type(shell, block)
        if block.prints is not None:
            assert matches(block.prints, printed), f"{name}:{block.line} prints\n{printed}"


def _type(shell: Shell, block: Block) -> str:
    if block.code.startswith(SURROUNDINGS):
        return ""
    if block.file:
        Path(block.file).write_text(block.code, "utf-8")
        return ""
    code = block.code
    if block.language == "python":
        code = f"python <<'END'\n{code}END\n"
    return shell.run(re.sub(r"\bID\b", _NEWEST, code), _SECONDS)[0]
