"""Writes what variables and outputs say into infra/terraform/README.md: `python -m
tests.infra.tools.terraform_readme`. A test compares the page with what this would write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.infra.tools.hcl import Block, blocks, value

__all__ = ["PAGE", "written"]

PAGE = Path(__file__).parents[3] / "infra/terraform/README.md"
_MODULES = PAGE.parent / "modules"


def written(page: str) -> str:
    """The page with its tables as they ought to be: those under the headings Inputs, Outputs, and
    the name of each module."""
    page = _under("## Inputs", "\n".join(_inputs(PAGE.parent)), page)
    page = _under("## Outputs", "\n".join(_outputs(PAGE.parent)), page)
    for folder in sorted(path for path in _MODULES.iterdir() if f"### {path.name}\n" in page):
        tables = "\n".join([*_inputs(folder), "", *_outputs(folder)])
        page = _under(f"### {folder.name}", tables, page)
    return page


def _under(heading: str, tables: str, page: str) -> str:
    """The page with these in place of what is there from the first table after the heading to the
    next heading."""
    place = re.compile(rf"(?ms)(^{re.escape(heading)}\n(?:(?!^[#|]).)*?)^\|.*?(?=^#|\Z)")
    page, found = place.subn(lambda match: f"{match[1]}{tables}\n\n", page)
    if found != 1:
        raise ValueError(f"{heading}: there is no table")
    return page.rstrip("\n") + "\n"


def _inputs(folder: Path) -> Iterator[str]:
    yield "| input | what it is | default |"
    yield "|---|---|---|"
    for block in _of(folder, "variable"):
        yield f"| `{block.labels[0]}` | {_described(block)} | {_default(block)} |"


def _outputs(folder: Path) -> Iterator[str]:
    yield "| output | what it is |"
    yield "|---|---|"
    for block in _of(folder, "output"):
        yield f"| `{block.labels[0]}` | {_described(block)} |"


def _of(folder: Path, kind: str) -> Iterator[Block]:
    """Blocks of a kind, those without a default first."""
    found = [b for file in sorted(folder.glob("*.tf")) for b in blocks(file.read_text("utf-8"))]
    of_kind = [block for block in found if block.type == kind]
    yield from sorted(of_kind, key=lambda block: "default" in block.attributes)


def _described(block: Block) -> str:
    return str(value(block.attributes["description"], {})).replace("|", "\\|")


def _default(variable: Block) -> str:
    if "default" not in variable.attributes:
        return "**needed**"
    return f"`{json.dumps(value(variable.attributes['default'], {}))}`"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
