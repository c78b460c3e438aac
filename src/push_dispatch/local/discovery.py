"""Which local runtimes are up? Each leaves a file behind that says how to reach it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.reasons import Reason

__all__ = [
    "DEFAULT_NAME",
    "Record",
    "announce",
    "find_local",
    "locals_up",
    "make_writable",
    "state_dir",
    "withdraw",
]

DEFAULT_NAME = "default"


@dataclass(frozen=True, slots=True)
class Record:
    """A local runtime: what another process needs to talk to it."""

    name: str
    pid: int
    #: When the process started, in seconds: its number may be given to another one later.
    started: float
    process_dir: str
    log: str
    #: The file with its state, and the port that takes pokes; empty and 0 if an emulator has it.
    state: str = ""
    pokes: int = 0
    #: The emulator, its table and the URLs of its queues: one queue serves all platforms.
    endpoint: str = ""
    #: The access key of its requests.
    key: str = ""
    table: str = ""
    wake_queue: str = ""
    platform_queues: dict[str, str] = field(default_factory=dict)
    #: Where it serves the HTTP API, and the token that requests carry; empty before there was one.
    api: str = ""
    token: str = ""

    @property
    def where(self) -> str:
        """Where its state is, for people."""
        return self.state or self.endpoint

    @property
    def up(self) -> bool:
        """Whether the process is alive."""
        try:
            import psutil  # noqa: PLC0415 - comes with the extra `local`, and can do without
        except ModuleNotFoundError:
            return _alive(self.pid)
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1
        except psutil.Error:
            return False


def find_local(name: str | None) -> Record | None:
    """The local runtime of that name, or without a name: the one called `default`, the only one,
    or none. Raises NotFound (`no_backend`) if the named one is not up, Invalid (`no_backend`) if
    it is unclear which one is meant."""
    up = {record.name: record for record in locals_up()}
    if name is not None:
        if name not in up:
            known = f"; up: {', '.join(sorted(up))}" if up else ""
            raise NotFound(f"no local runtime {name!r} is up{known}", reason=Reason.NO_BACKEND)
        return up[name]
    if DEFAULT_NAME in up or len(up) <= 1:
        return up.get(DEFAULT_NAME) or next(iter(up.values()), None)
    names = ", ".join(sorted(up))
    raise Invalid(
        f"several local runtimes are up: choose one with --local: {names}", reason=Reason.NO_BACKEND
    )


def locals_up() -> list[Record]:
    """All that are up; the files of those that have died are removed."""
    records = []
    for file in sorted(_folder().glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            record = Record(**json.loads(file.read_text("utf-8")))
            if record.up:
                records.append(record)
            else:
                file.unlink(missing_ok=True)
    return records


def make_writable(folder: Path) -> None:
    """Make a folder, for this user alone if it is new. Raises Invalid if nothing can be written
    there: a file is in its place, or the user may not."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Invalid(
            f"{folder} cannot be written: {error.strerror}; choose another --data-dir or "
            "XDG_STATE_HOME"
        ) from error


def announce(record: Record) -> None:
    """Let others find this runtime."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = folder / f"{record.name}.{os.getpid()}.new"
    new.touch(mode=0o600)  # It has the tokens of the API and of the emulator.
    new.write_text(json.dumps(asdict(record), indent=2), "utf-8")
    new.replace(folder / f"{record.name}.json")


def withdraw(record: Record) -> None:
    """Undo `announce`."""
    file = _folder() / f"{record.name}.json"
    with suppress(OSError, ValueError):
        if json.loads(file.read_text("utf-8"))["pid"] == record.pid:
            file.unlink()


def state_dir() -> Path:
    """Where programs of this user keep their state: `$XDG_STATE_HOME/push-dispatch`."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "push-dispatch"


def _alive(pid: int) -> bool:
    """Whether a process has this number, be it another one by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _folder() -> Path:
    return state_dir() / "local"
