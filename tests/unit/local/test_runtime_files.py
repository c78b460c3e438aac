"""Does a local runtime leave files that others may read?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.local.discovery import Record, announce, withdraw
from push_dispatch.local.runtime import LocalRuntime
from tests.local import eventually

if TYPE_CHECKING:
    import pytest

TEMPLATE = {"job_configuration": {"command": "echo secret"}, "variables": {}}


def open_to_others(folder: Path) -> list[str]:
    """The files that somebody else could get at: not those in a folder that is closed."""
    found = []
    for where, folders, files in os.walk(folder):
        found += [n for n in files if (Path(where) / n).stat().st_mode & 0o077]
        folders[:] = [n for n in folders if (Path(where) / n).stat().st_mode & 0o077]
    return found


def test_everything_is_its_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a directory that was there before, and open to all."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    before = os.umask(0o022)
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (tmp_path / "home" / "push-dispatch" / "local").mkdir(parents=True, mode=0o755)
    try:
        with LocalRuntime("files", data) as runtime:
            create_pool(runtime.ports, Pool("etl", "process"), TEMPLATE)
            run = submit(runtime.ports, Request("etl")).run
            eventually(lambda: ended(runtime, run.uuid))
            assert (data / "processes").stat().st_mode & 0o777 == 0o700
            data.chmod(0o755)  # What is in it stands for itself.
            assert open_to_others(tmp_path) == []
    finally:
        os.umask(before)


def ended(runtime: LocalRuntime, uuid: str) -> bool:
    run = runtime.ports.store.run("etl", uuid)
    return run is not None and run.state.ended


def test_what_others_need_to_find_it_is_its_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator's key is in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = Record("files", os.getpid(), 0.0, "", "", key="secret")
    announce(record)
    assert (tmp_path / "push-dispatch/local/files.json").stat().st_mode & 0o777 == 0o600
    withdraw(record)
