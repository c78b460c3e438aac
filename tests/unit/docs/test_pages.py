"""Do the generated pages say what the code says?"""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    wanted = "\n".join(PAGES[name]()) + "\n"
    message = "run: python docs/generate.py"
    assert (DOCS / name).read_text(encoding="utf-8") == wanted, message


def test_every_link_between_our_pages_leads_somewhere() -> None:
    import re

    root = DOCS.parent
    pages = [*DOCS.rglob("*.md"), root / "README.md", root / "infra/terraform/README.md"]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []
