"""`push-dispatch local`: the whole service on this machine."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from push_dispatch.cli.output import dim, print_json, say
from push_dispatch.core.errors import Unavailable
from push_dispatch.local.discovery import DEFAULT_NAME, Record, find_local, locals_up

__all__ = ["app", "folder", "stop_signals"]

app = App(name="local")


@app.command
def up(
    *,
    name: Annotated[str, Parameter(help="By which --local finds it.")] = DEFAULT_NAME,
    data_dir: Annotated[
        Path | None,
        Parameter(metavar="DIR", help="Keeps the state for the next time; by default nothing is."),
    ] = None,
    aws: Annotated[
        bool,
        Parameter(help="Keep the state in an emulator of AWS, for AWS's own tools."),
    ] = False,
) -> None:
    """Run everything on 127.0.0.1 until Ctrl-C: state, queues, functions, processes.

    Pools of type process execute runs on this machine; other types with the credentials and
    endpoints of this environment. The other commands find it by themselves.
    """
    from push_dispatch.core.model import check_name
    from push_dispatch.local.runtime import LocalRuntime

    check_name(name, "local runtime")
    with folder(data_dir) as where, stop_signals() as stopped:
        runtime = LocalRuntime(name, where, aws=aws)
        dim("starting …")
        record = runtime.start()
        try:
            _tell(record, data_dir, runtime.found)
            while not stopped.wait(0.5):
                if not runtime.alive:
                    raise Unavailable(f"MiniStack has died: see {where / 'ministack.log'}")
            dim("stopping …")
        finally:
            # Nobody could ever take them up again if the state is thrown away.
            runtime.stop(processes=data_dir is None)


@app.command
def ls(*, json: Annotated[bool, Parameter(help="Print JSON.")] = False) -> None:
    """List the local runtimes that are up."""
    from dataclasses import asdict

    from push_dispatch.cli.tables import show_table

    up = locals_up()
    if json:
        print_json([asdict(record) for record in up])
        return
    rows = [(record.name, str(record.pid), record.where, record.log) for record in up]
    show_table(("NAME", "PID", "STATE", "LOG"), rows, nothing="No local runtime is up.")


@app.command
def down(name: str = DEFAULT_NAME, /) -> None:
    """Stop a local runtime, and wait until it has stopped."""
    import os

    import psutil

    record = find_local(name)
    if record is None:
        say("No local runtime is up.")
        return
    os.kill(record.pid, signal.SIGTERM)
    psutil.wait_procs([psutil.Process(record.pid)], timeout=60) if record.up else None
    say(f"Stopped {record.name}.")


# -- shared with the demo ---------------------------------------------------------------------


@contextmanager
def folder(kept: Path | None) -> Iterator[Path]:
    """The directory for the state: the given one, or one that is deleted afterwards."""
    if kept is not None:
        yield kept.expanduser().absolute()
        return
    with tempfile.TemporaryDirectory(prefix="push-dispatch-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of ending the process."""
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _page(record: Record) -> str:
    """Where the dashboard is. What is piped may end in a log, where no token belongs."""
    import sys

    from push_dispatch.api.dashboard import address

    if sys.stdout.isatty():
        return address(record.api, record.token)
    return f"{record.api}/ (open it with: push-dispatch dashboard)"


def _key(record: Record) -> str:
    """The access key of the emulator, as with the page."""
    import sys

    shown = record.key if sys.stdout.isatty() else "as push-dispatch local ls --json shows it"
    return f"AWS_ACCESS_KEY_ID {shown}"


def _tell(record: Record, data_dir: Path | None, found: str) -> None:
    kept = "kept" if data_dir else "gone when it stops (keep it with --data-dir)"
    say(f"Local runtime {record.name!r} is up.")
    say(f"  state    {record.where}, {kept}")
    if record.key:
        say(f"  key      {_key(record)}; the secret access key can be any")
    say(f"  log      {record.log}")
    say(f"  page     {_page(record)}")
    if found:
        say(f"  found    {found}")
    say("In another terminal:")
    say("  push-dispatch pool create my-pool --type process --limit 2")
    say("  push-dispatch run submit my-pool --wait -- echo hello")
    say("Ctrl-C stops it.")
    import sys

    sys.stdout.flush()
