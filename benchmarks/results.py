"""What was measured, with the machine and the versions: as JSON, and as a chart."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["OTHERS", "Figure", "chart", "document", "save"]

_PACKAGES = ("push-dispatch", "boto3")
#: Versions of what a benchmark has started that is not of this environment.
OTHERS: dict[str, str] = {}
_BAR, _LEFT, _TEXT, _WIDTH = 17, 540, 280, 1200


@dataclass(frozen=True)
class Figure:
    """One line of a benchmark, as it is printed."""

    benchmark: str
    name: str
    value: str
    mark: str
    was: str
    #: The same of other systems, by their names.
    others: Mapping[str, str] = field(default_factory=dict)


def document(figures: list[Figure]) -> dict[str, object]:
    """The figures, and what they were measured on."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load": [round(load, 1) for load in os.getloadavg()],
        },
        "versions": {"python": platform.python_version(), **_versions(), **OTHERS},
        "figures": [asdict(figure) for figure in figures],
    }


def save(figures: list[Figure], file: Path) -> None:
    """Write the JSON, and beside it an SVG of those that have something to be compared with."""
    file.write_text(json.dumps(document(figures), indent=2) + "\n")
    file.with_suffix(".svg").write_text(chart(figures))


def chart(figures: list[Figure]) -> str:
    """Bars for each figure that has a value before, or others beside it; the longest of a figure
    has the full width."""
    lines, top = [], 10
    for figure in figures:
        bars = [(text, value) for text, value in _shown(figure) if value is not None]
        if len(bars) > 1 and any(value for _, value in bars):
            lines += _bars(f"{figure.benchmark}: {figure.name}", bars, top)
            top += _BAR * len(bars) + 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}">'
    return "\n".join([head, "<style>text{font:13px sans-serif}</style>", *lines, "</svg>"]) + "\n"


def _shown(figure: Figure) -> list[tuple[str, float | None]]:
    texts = [(figure.value, figure.value), (f"was {figure.was}", figure.was)]
    texts += [(f"{name}: {text}", text) for name, text in figure.others.items()]
    return [(text, _number(value)) for text, value in texts]


def _bars(name: str, bars: list[tuple[str, float]], top: int) -> list[str]:
    longest = max(value for _, value in bars)
    lines = [f'<text x="0" y="{top + 12}">{escape(name)}</text>']
    for place, (text, value) in enumerate(bars):
        y, width = top + place * _BAR, max(1, round((_WIDTH - _LEFT - _TEXT) * value / longest))
        colour = "#a0aec0" if place else "#2b6cb0"
        lines.append(f'<rect x="{_LEFT}" y="{y}" width="{width}" height="14" fill="{colour}"/>')
        lines.append(f'<text x="{_LEFT + width + 6}" y="{y + 12}">{escape(text)}</text>')
    return lines


def _number(text: str) -> float | None:
    found = re.match(r"\s*([\d,]*\.?\d+)", text)
    return float(found[1].replace(",", "")) if found else None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
