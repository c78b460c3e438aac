"""Which commands are on a page, where, and what does it say that they print?

A command is a fenced block of `sh` or `python`, a file one that has a title, as in
```yaml title="pools.yaml". A block of `text` right after a command is what it prints, and `…` in
that stands for anything within a line, or, alone on its line, for any lines. Below a heading
`With NAME` is what belongs to that alternative only, up to the next heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = ["Block", "blocks", "matches"]

_FENCE = re.compile(r"```(\w*)(?: title=\"([^\"]+)\")?\s*$")
_TYPED = frozenset({"sh", "python"})
_HEADING = re.compile(r"#+ (.*)$")
_ALTERNATIVE = "With "


@dataclass(frozen=True)
class Block:
    """Commands of a page."""

    #: Line of the first command.
    line: int
    code: str
    #: The heading above it.
    heading: str
    #: What the page says that it prints; None if it says nothing.
    prints: str | None = None
    language: str = "sh"
    #: The file that it is the content of, instead of a command.
    file: str = ""

    def belongs_to(self, way: str) -> bool:
        """Whether somebody who takes this alternative runs it."""
        other = self.heading.removeprefix(_ALTERNATIVE)
        return other in {self.heading, way}


def blocks(page: str) -> Iterator[Block]:
    """The page's commands, in their order. Raises ValueError if a fence stays open, or if output
    belongs to no command."""
    heading, command, after = "", None, ""
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        if title := _HEADING.match(line):
            heading = title[1]
        fence = _FENCE.match(line)
        if fence is None:
            after += line.strip()
            continue
        content = _content(lines, number)
        if fence[1] == "text":
            if command is None or command.prints is not None or after:
                raise ValueError(f"line {number}: no command right above prints this")
            command = replace(command, prints=content)
            continue
        if command is not None:
            yield command
        command = None
        if fence[1] in _TYPED or fence[2]:
            command = Block(number + 1, content, heading, language=fence[1], file=fence[2] or "")
        after = ""
    if command is not None:
        yield command


def matches(message: str, printed: str) -> bool:
    """Whether a page may say of `printed` what it says."""
    pattern = "".join(_pattern(line) for line in message.strip().splitlines())
    return re.fullmatch(pattern, _plain(printed)) is not None


def _content(lines: Iterator[tuple[int, str]], opened: int) -> str:
    content = ""
    for _, line in lines:
        if line.rstrip() == "```":
            return content
        content += f"{line}\n"
    raise ValueError(f"line {opened}: the fence stays open")


def _pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:.*\n)*?"
    parts = [re.escape(part) for part in re.split("(…| +)", line.rstrip())]
    return "".join(_part(part) for part in parts) + r"\n"


def _part(escaped: str) -> str:
    if escaped == re.escape("…"):
        return ".*?"
    # Columns are as wide as what is in them.
    return escaped if escaped.strip("\\ ") else " +" if escaped else ""


def _plain(printed: str) -> str:
    """Without spaces at the ends of lines, and without empty lines around."""
    lines = [line.rstrip() for line in printed.strip().splitlines()]
    return "".join(f"{line}\n" for line in lines)
