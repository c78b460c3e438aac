"""Which benchmark is wanted? `python -m benchmarks NAME…`; without a name, all of them.

With `--json FILE.json` the figures that have marks are written there, with the machine and the
versions, and beside it a chart, FILE.svg.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.results import save
from benchmarks.world import FIGURES

#: Each is a module of this package with a `main()` that prints what it has measured.
NAMES = (
    "imports",
    "latency",
    "starts",
    "burst",
    "handover",
    "backlog",
    "idle",
    "size",
    "kills",
    "functions",
    "soak",
    "units",
    "path",
    "cpu",
    "depth",
    "ends",
    "prefect",
    "beside",
)


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all; 2 if there is none of that name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for number, name in enumerate(given.names or NAMES):
        if number:
            print()
        before = len(FIGURES)
        importlib.import_module(f"benchmarks.{name}").main()
        FIGURES[before:] = [replace(figure, benchmark=name) for figure in FIGURES[before:]]
        if given.json:
            save(FIGURES, given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
