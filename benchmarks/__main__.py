"""Which benchmark is wanted? `python -m benchmarks NAME…`; without a name, all of them."""

from __future__ import annotations

import importlib
import sys

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
    "depth",
    "prefect",
)


def main(wanted: list[str]) -> int:
    """Run the named benchmarks, or all; 2 if there is none of that name."""
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for number, name in enumerate(wanted or NAMES):
        if number:
            print()
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
