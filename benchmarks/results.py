"""What was measured, with the machine and the versions: as JSON, and as a chart."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["Figure", "chart", "document", "save"]

_PACKAGES = ("push-dispatch", "boto3", "prefect")
_ROW, _LEFT, _WIDTH = 44, 380, 900


@dataclass(frozen=True)
class Figure:
    """One line of a benchmark, as it is printed."""

    benchmark: str
    name: str
    value: str
    mark: str
    was: str


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
        "versions": {"python": platform.python_version(), **_versions()},
        "figures": [asdict(figure) for figure in figures],
    }


def save(figures: list[Figure], file: Path) -> None:
    """Write the JSON, and beside it an SVG of those that have a value before."""
    file.write_text(json.dumps(document(figures), indent=2) + "\n")
    file.with_suffix(".svg").write_text(chart(figures))


def chart(figures: list[Figure]) -> str:
    """Two bars for each figure with a value before: now, and then, which has the full width."""
    shown = [f for f in figures if _number(f.value) is not None and _number(f.was)]
    height = _ROW * len(shown) + 10
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}">']
    lines.append("<style>text{font:13px sans-serif}</style>")
    for number, figure in enumerate(shown):
        lines += _bars(figure, number * _ROW + 10)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bars(figure: Figure, top: int) -> list[str]:
    now, was = _number(figure.value) or 0.0, _number(figure.was) or 1.0
    room = _WIDTH - _LEFT - 130
    longest = max(now, was)
    bars = [(now, figure.value, "#2b6cb0"), (was, f"was {figure.was}", "#a0aec0")]
    lines = [f'<text x="0" y="{top + 20}">{escape(f"{figure.benchmark}: {figure.name}")}</text>']
    for place, (value, text, colour) in enumerate(bars):
        y, width = top + place * 17, max(1, round(room * value / longest))
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
