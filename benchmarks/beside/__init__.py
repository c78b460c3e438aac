"""How do push-dispatch's local runtime and a Prefect server's pools compare, alternating in one go?

python -m benchmarks beside             all rows, twenty minutes or more
QUICK=1 python -m benchmarks beside     less of everything, some eight minutes
ROUNDS=4, ROWS=singles,bursts           more rounds; these rows only

Everything is up all the time and idle but for the system whose turn it is. Prefect is the newest
version that is installed (`make env-prefect-3.9`), on SQLite and, if the machine has one, on a
PostgreSQL of its own; its workers are real ones of a type that spawns commands and no Python
(`worker.py`), and for single runs its own process worker too. CPU is that of all processes of a
system but the jobs: runtime; server, worker and database. Only loopback; all ends with it.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.beside import stats
from benchmarks.beside.ours import Ours
from benchmarks.beside.postgres import Postgres, programs
from benchmarks.beside.rows import FULL, QUICK, ROWS, Bench, Row
from benchmarks.beside.theirs import Theirs
from benchmarks.results import OTHERS, Figure
from benchmarks.world import FIGURES
from tests.prefect_server import VERSIONS, environment

__all__ = ["main"]

#: No row begins later than this, in seconds.
LONGEST = 20 * 60
_MISSING = "NOT MEASURED: Prefect on PostgreSQL. There is no initdb, postgres and psql here"


def main() -> None:
    """Print every row: our figure, Prefect's, and how many times better we are."""
    versions = [version for version in VERSIONS if environment(version)]
    if not versions:
        print("beside: Prefect is not installed (make env-prefect-3.9)")
        return
    OTHERS["prefect"] = versions[-1]
    # Whoever ends this ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Short: a socket's path has a hundred bytes. Others must be able to enter it: PostgreSQL is
    # somebody else if this is root.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, ExitStack() as stack:
        Path(name).chmod(0o711)
        _measure(_bench(stack, Path(name), versions[-1]))


def _bench(stack: ExitStack, folder: Path, version: str) -> Bench:
    scale = QUICK if os.environ.get("QUICK") else FULL
    scale = replace(scale, rounds=int(os.environ.get("ROUNDS") or scale.rounds))
    servers = [Theirs(folder / "sqlite", version, None)]
    if programs():
        postgres = stack.enter_context(Postgres(folder / "pg"))
        OTHERS["postgresql"] = postgres.version
        servers.append(Theirs(folder / "postgresql", version, postgres))
    else:
        OTHERS["postgresql"] = "none: not measured"
    for server in servers:
        stack.enter_context(server)
    return Bench(stack.enter_context(Ours(folder)), servers, scale)


def _measure(bench: Bench) -> None:
    print("push-dispatch's local runtime beside Prefect", OTHERS["prefect"])
    if len(bench.theirs) == 1:
        print(f"{_MISSING} (Debian: apt-get install postgresql).")
    head = "".join(f"{side.name:>31}" for side in bench.theirs)
    print(f"{'':<74}{bench.ours.name:>14}{head}")
    until = time.monotonic() + LONGEST
    for name in (os.environ.get("ROWS") or ",".join(ROWS)).split(","):
        if time.monotonic() > until:
            print(f"NOT MEASURED: {name}, for want of time")
            continue
        try:
            for row in ROWS[name](bench):
                _show(row, bench)
        except TimeoutError as error:
            print(f"NOT MEASURED: {name}, {error}")
    print(f"load of the machine {os.getloadavg()[0]:.1f}, of {os.cpu_count()} cores")


def _show(row: Row, bench: Bench) -> None:
    ours = row.values[bench.ours.name]
    others = {}
    for side in bench.theirs:
        theirs = row.values[side.name]
        better = stats.ratio(ours, theirs, more_is_better=row.more_is_better)
        others[side.name] = f"{row.shown(side.name)} {better if row.compared else ''}".strip()
    shown = row.shown(bench.ours.name)
    FIGURES.append(Figure("", row.name, shown, "", "", others))
    line = f"{row.name:<74}{shown:>14}" + "".join(f"{text:>31}" for text in others.values())
    print(line, flush=True)
