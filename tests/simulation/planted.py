"""Does the simulator find what reviewers find? Bugs are planted, and stories are played until one
shows it: `python -m tests.simulation.planted [NAME…]` prints the table of the documentation.

A bug is a file in `planted/`: what to replace in a copy of the package and of template.yaml. Every
text has to be there exactly once, so no bug rots without being noticed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BUGS", "Bug", "Search", "plant", "search"]

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
#: A search begins no story after this time.
_SECONDS = 240


@dataclass(frozen=True)
class Bug:
    """One bug, and how it is found."""

    name: str
    title: str
    profile: str
    #: Stories within which it is found, from seed 0 on.
    seeds: int
    #: What the oracle says, as a pattern.
    finds: str
    edits: tuple[tuple[str, str], ...]
    #: The finding of the review that it plants again.
    review: str = ""


@dataclass(frozen=True)
class Search:
    """How a search ended."""

    #: The first seed that shows the bug; None if none does.
    seed: int | None
    output: str


def _bug(file: Path) -> Bug:
    with file.open("rb") as opened:
        document = tomllib.load(opened)
    edits = tuple((e["find"].strip("\n"), e["replace"].strip("\n")) for e in document.pop("edit"))
    return Bug(name=file.stem, edits=edits, **document)


BUGS = tuple(map(_bug, sorted((_HERE / "planted").glob("*.toml"))))


def plant(bug: Bug, folder: Path) -> None:
    """Copy the package, the store in memory and template.yaml into the folder, with the bug in
    them. Raises ValueError if a text to replace is not there exactly once."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    for part in ("src", "tests/fakes", "tests/simulation"):
        shutil.copytree(_ROOT / part, folder / part, ignore=leave_out)
    for name in ("template.yaml", "tests/__init__.py"):
        shutil.copy(_ROOT / name, folder / name)
    files = [folder / "template.yaml"]
    for part in ("src", "tests/fakes/memory"):
        files += sorted((folder / part).rglob("*.py"))
    for find, replacement in bug.edits:
        where = [(file, file.read_text().count(find)) for file in files]
        found = [(file, count) for file, count in where if count]
        if [count for _, count in found] != [1]:
            places = ", ".join(f"{count} in {file.name}" for file, count in found) or "nowhere"
            raise ValueError(f"{bug.name}: {find!r} is to be there once, and is {places}")
        [(file, _)] = found
        file.write_text(file.read_text().replace(find, replacement))


def search(bug: Bug) -> Search:
    """Play stories with the bug planted until one shows it."""
    with tempfile.TemporaryDirectory() as made:
        plant(bug, Path(made))
        arguments = ["--seeds", f"0:{bug.seeds}", "--profile", bug.profile, "--first"]
        arguments += ["--seconds", str(_SECONDS)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation.hunt", *arguments],
            cwd=made,
            env={**os.environ, "PYTHONPATH": f"{made}/src{os.pathsep}{made}"},
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"^seed (\d+) \(\w+\): (.*)$", done.stdout, re.MULTILINE)
    shows = found is not None and re.search(bug.finds, found[2]) is not None
    return Search(int(found[1]) if found and shows else None, done.stdout + done.stderr)


def _rows(bugs: Iterable[Bug], searches: Iterable[Search]) -> Iterable[str]:
    yield "| planted bug | review | stories | found in |"
    yield "|---|---|---|---|"
    for bug, found in zip(bugs, searches, strict=True):
        number = "**not found**" if found.seed is None else str(found.seed + 1)
        yield f"| {bug.title} (`{bug.name}`) | {bug.review or '—'} | `{bug.profile}` | {number} |"
        if found.seed is None:
            print(found.output, file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """0 if every bug is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    bugs = [bug for bug in BUGS if bug.name in given.names or not given.names]
    with ThreadPoolExecutor(given.processes) as pool:
        searches = list(pool.map(search, bugs))
    print("\n".join(_rows(bugs, searches)))
    return 0 if all(found.seed is not None for found in searches) else 1


if __name__ == "__main__":
    sys.exit(main())
