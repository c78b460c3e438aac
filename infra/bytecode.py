"""How does a built function get the byte code that its folder in Lambda, read-only, cannot keep?

`python infra/bytecode.py FOLDER --uv UV [--compiler PYTHON] TARGET`: TARGET is a version or an
interpreter, as `uv pip install` was told. Only that very version reads what it has compiled. Where
there is no such interpreter, the folder gets no byte code, and a warning says so.

Byte code holds for good (`unchecked-hash`): deployed files have other times, and to compare their
content is to read them all. It is the same wherever and whenever the same code is built.
https://docs.python.org/3.13/reference/import.html#cached-bytecode-invalidation
"""

from __future__ import annotations

import shutil
import subprocess
from argparse import ArgumentParser, Namespace
from pathlib import Path

#: Where Lambda puts a function's code, for what the byte code tells of files.
_TASK = "/var/task"
_TAG = "import sys; print(sys.implementation.cache_tag)"
_MISSING = """\
WARNING: {folder} has no byte code: each cold start compiles all
  that it imports, which takes some three times as long. Only Python {version} can make it, but
  {reason}
  Get one by `uv python install {version}`, or name one by LAMBDA_PYTHON=/path/to/python"""


class _Missing(Exception):
    """There is no such interpreter, for this reason."""


def main() -> None:
    given = _arguments()
    folder = given.folder.resolve()
    for stale in list(folder.rglob("__pycache__")):
        shutil.rmtree(stale)
    try:
        python = _interpreter(given)
    except _Missing as reason:
        # Not to standard error: of a build that succeeds, `sam build` shows standard output only.
        version = given.python_version or given.python
        print(_MISSING.format(folder=folder, version=version, reason=reason))
    else:
        _compile(folder, python)


def _arguments() -> Namespace:
    parser = ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--uv", required=True)
    parser.add_argument("--compiler", default="", help="of the version, where uv finds none")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--python-version")
    target.add_argument("--python")
    parser.add_argument("--python-platform", help="not looked at: byte code has none")
    return parser.parse_args()


def _interpreter(given: Namespace) -> str:
    """Path of an interpreter that writes what the target reads. Raises _Missing."""
    if given.python:
        return _found(given.uv, given.python)
    python = _found(given.uv, given.compiler or given.python_version)
    wanted = f"cpython-{given.python_version.replace('.', '')}"
    if (tag := _said(python, "-I", "-c", _TAG)) != wanted:
        raise _Missing(f"{python} is {tag}, not {wanted}")
    return python


def _found(uv: str, request: str) -> str:
    return _said(uv, "python", "find", request)


def _said(*command: str) -> str:
    """What it prints. Raises _Missing with the first line of its complaint if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise _Missing(done.stderr.strip().partition("\n")[0])
    return done.stdout.strip()


def _compile(folder: Path, python: str) -> None:
    """What does not compile is told and left out, as importing it would fail whatever is there."""
    quiet = ["-I", "-W", "ignore", "-m", "compileall", "-q", "-f"]
    told = ["-s", str(folder), "-p", _TASK, "--invalidation-mode", "unchecked-hash"]
    subprocess.run([python, *quiet, *told, str(folder)], check=False)


if __name__ == "__main__":
    main()
