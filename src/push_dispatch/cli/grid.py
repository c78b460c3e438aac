"""How do rows fit a terminal? Whole in a pipe; on a terminal with fewer columns, never with a state
or a reason over several lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from push_dispatch.cli.output import Screen, console, screen
from push_dispatch.core.bounds import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = [
    "Styled",
    "fitting",
    "print_rows",
    "short_ids",
    "show_facts",
    "show_table",
    "table_of",
]

#: Columns whose words are looked up or typed again: never folded.
_WHOLE = frozenset({"RUN", "STATE", "REASON", "QUEUE", "POOL", "HOLDS A SLOT", "PRIORITY", "SLOTS"})
_CUT = "QUEUE"
#: A shortened id has at least so many characters.
_SHORTEST = 6
_GAP = 2
#: Codes of the styles that cells have.
_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34}
_CODES |= {"magenta": 35, "cyan": 36}
#: Blanks at the end of a line, before the codes that end its colour.
_TRAILING = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)


class Styled(str):
    """A cell in a style: one of `_CODES`, or none."""

    __slots__ = ("style",)
    style: str

    def __new__(cls, text: str, style: str) -> Self:
        cell = super().__new__(cls, text)
        cell.style = style
        return cell


def show_table(
    header: Sequence[str],
    rows: Sequence[Sequence[RenderableType]],
    *,
    nothing: str = "",
    optional: Sequence[str] = (),
) -> None:
    """Print a table without lines, that can be read by people and cut by columns. On a terminal
    that is too narrow the `optional` columns are left out, the first one first."""
    if not rows and nothing:
        if not _print_lines([[Styled(nothing, "dim")]]):
            console().print(nothing, style="dim", markup=False)
    elif not _print_lines([[Styled(name, "bold") for name in header], *rows], optional):
        print_rows(table_of(header, rows, optional=optional))


def table_of(
    header: Sequence[str], rows: Sequence[Sequence[RenderableType]], *, optional: Sequence[str] = ()
) -> Table:
    """The table that `show_table` prints."""
    from rich.table import Table

    terminal = console()
    cells = [[_cell(cell) for cell in row] for row in rows]
    kept = list(range(len(header)))
    if terminal.is_terminal:
        lengths = [[_length(cell) for cell in row] for row in cells]
        kept = fitting(header, lengths, terminal.width, optional)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    names = [header[column] for column in kept]
    widest = [max(len(header[c]), *(_length(row[c]) for row in cells), 0) for c in kept]
    # A queue may have a name of 63 letters: then it is cut, and the reason stays.
    spare = terminal.width - sum(w + _GAP for n, w in zip(names, widest, strict=True) if n != _CUT)
    for name, wanted in zip(names, widest, strict=True):
        if name in _WHOLE:
            width = max(_SHORTEST, min(wanted, spare)) if name == _CUT else wanted
            table.add_column(name, no_wrap=True, overflow="ellipsis", width=width)
        else:
            table.add_column(name, overflow="fold")
    for row in cells:
        table.add_row(*(row[column] for column in kept))
    return table


def fitting(
    header: Sequence[str],
    lengths: Sequence[Sequence[int]],
    width: int,
    optional: Sequence[str],
) -> list[int]:
    """The columns, by number, that are shown in `width`: without those of `optional` that are
    empty, and without the first of them until the rest fits."""
    widest = [max((row[c] for row in lengths), default=0) for c in range(len(header))]
    kept = [c for c, name in enumerate(header) if widest[c] or name not in optional]
    for name in optional:
        needed = sum(max(widest[c], len(header[c])) + _GAP for c in kept) - _GAP
        if needed <= width:
            break
        kept = [c for c in kept if header[c] != name]
    return kept


def short_ids(ids: Iterable[str]) -> Mapping[str, str]:
    """Each id as a terminal shows it: its last characters, as many as tell these ids apart. Whole
    ids in a pipe. Every command takes both."""
    every = list(dict.fromkeys(ids))
    if not screen().is_terminal:
        return {each: each for each in every}
    length = _SHORTEST
    while len({each[-length:] for each in every}) < len(every):
        length += 1
    return {each: each[-length:] for each in every}


def show_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Names and values below each other; those without a value are left out."""
    rows = [(Styled(name, "dim"), value) for name, value in facts if value not in (None, "")]
    if _print_lines(rows):
        return
    from rich.table import Table

    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(str(name), _cell(value))
    print_rows(table)


def _print_lines(rows: Sequence[Sequence[Any]], optional: Sequence[str] = ()) -> bool:
    """Print rows whose cells are one line each, if they fit: as rich would, which takes longer to
    load than the rest of a command. Return whether they were printed."""
    if not all(isinstance(cell, str) and cell.isprintable() for row in rows for cell in row):
        return False
    to = screen()
    if to.is_terminal and rows:
        header, *others = rows
        lengths = [[_cells(cell) for cell in row] for row in others]
        kept = fitting(header, lengths, to.width, optional) if optional else range(len(header))
        rows = [[row[column] for column in kept] for row in rows]
    widths = [max(map(_cells, column)) for column in zip(*rows, strict=True)]
    if to.is_terminal and sum(widths) + _GAP * (len(widths) - 1) > to.width:
        return False
    for row in rows:
        cells = [_padded(cell, width, to) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write((" " * _GAP).join(cells).rstrip(" ") + "\n")
    return True


def _padded(cell: str, width: int, to: Screen) -> str:
    code = _CODES.get(cell.style, 0) if isinstance(cell, Styled) else 0
    styled = cell and code and (to.colours if code >= _CODES["red"] else to.styles)
    text = f"\x1b[{code}m{cell}\x1b[0m" if styled else str(cell)
    return text + " " * (width - _cells(cell))


def _cells(text: str) -> int:
    """How many columns a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def print_rows(table: RenderableType) -> None:
    """Print what rich lays out, without the blanks that it fills lines with."""
    with console().capture() as captured:
        console().print(table)
    sys.stdout.write(_TRAILING.sub(r"\1", captured.get()))


def _cell(value: Any) -> RenderableType:
    """Text as it is: brackets in it are no markup."""
    from rich.text import Text

    if isinstance(value, Styled):
        return Text(printable(value), style=value.style)
    return Text(printable(value)) if isinstance(value, str) else value


def _length(cell: Any) -> int:
    from rich.text import Text

    return max((line.cell_len for line in cell.split()), default=0) if isinstance(cell, Text) else 0
