"""An image in which functions can be executed, made of what is on this machine: no registry.

It has this interpreter with its standard library, where they are on this machine, and Lambda's
runtime client in /var/runtime, started as in Amazon's image. It is not Amazon's image: it shows
that what was built can be loaded and called, not what else Lambda's own environment has.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["archive"]

#: What `sam local` and the bootstrap need of a system.
_APPLETS = ("sh", "mv", "chmod", "cp", "rm", "cat", "sleep")
_SKIPPED = {"__pycache__", "test", "site-packages", "dist-packages", "ensurepip", "idlelib"}

_BOOTSTRAP = """#!/bin/sh
export PYTHONPATH=/var/task:/var/runtime PYTHONDONTWRITEBYTECODE=1
exec {python} -S -m awslambdaric "$_HANDLER"
"""


def archive(path: Path, client: Path, build: Path, packages: Path) -> None:
    """Write the image's file system: `client` is the runtime client's folder, `build` is what the
    functions are made of, and `packages` comes to /opt/python."""
    python = Path(os.path.realpath(sys.executable))
    stdlib = Path(sysconfig.get_path("stdlib"))
    busybox = shutil.which("busybox")
    assert busybox is not None
    with tarfile.open(path, "w", dereference=True) as tar:
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for applet in _APPLETS:
            _link(tar, f"bin/{applet}", "busybox")
        for name in ("tmp", "dev", "proc", "sys", "etc", "var/task", "var/rapid"):
            _folder(tar, name)
        tar.add(python, filter=_wanted)
        tar.add(stdlib, filter=_wanted)
        native = [python, *(stdlib / "lib-dynload").glob("*.so"), *build.rglob("*.so")]
        for library in sorted(_libraries(native)):
            tar.add(library, filter=_wanted)
        tar.add(client, "var/runtime", filter=_wanted)
        tar.add(packages, "opt/python", filter=_packages)
        _program(tar, "var/runtime/bootstrap", _BOOTSTRAP.format(python=python))


def _libraries(programs: Sequence[Path]) -> set[str]:
    """The shared libraries of these programs, the loader included, by the names it looks for."""
    message = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
    )
    return set(_paths(message.stdout))


def _paths(message: str) -> Iterator[str]:
    for found in re.finditer(r"(?:=> |^\s+)(/\S+) \(0x", message, re.MULTILINE):
        yield found[1]


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if _SKIPPED & set(Path(entry.name).parts) else entry


def _packages(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    tar.addfile(entry)


def _program(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), 0o755
    tar.addfile(entry, io.BytesIO(text.encode()))
