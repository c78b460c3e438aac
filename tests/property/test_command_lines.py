"""Does every command line end with a documented code, in time and memory, and without a traceback?

The lines are made of the program's own commands and options; values are right, nearly right, and
anything at all. Nothing is executed: the platform of the runtime that they meet starts nothing.
A secret that they can name is in none of their answers, and in nothing that is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from push_dispatch.cli.app import app
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool
from push_dispatch.local.runtime import LocalRuntime
from tests.bounded import bounded
from tests.fakes.memory_platform import MemoryPlatform
from tests.local import Cli, environment

if TYPE_CHECKING:
    from cyclopts import App

#: They go on until somebody stops them, stop this very process, or talk to other machines.
ENDLESS = {("local", "up"), ("local", "down"), ("demo",), ("prefect", "attach")}
ENDLESS |= {("prefect", "shadow"), ("run", "wait")}
#: Options that wait for what never comes here.
WAITING = {"--wait", "--follow", "--watch"}
#: Done, refused or failed, and a wrong command line.
DOCUMENTED = {0, 1, 2}

CANARY = "S3cr3t-C4n4ry"
ID = "etl.0199c1f0-0000-7000-8000-000000000001"
_RIGHT = ["etl", "default", "process", "ecs", ID, "1", "10/1h", "5m", "0", "name=value", "UTC"]
_TIMES = ["2026-12-01T08:00Z", "9999-12-31T23:59:59-23:59", "* * * * *", "0 0 30 2 *", "Mars/X"]
_ODD = ["-1", "1e308", "9" * 5000, "", " ", "--", "-", "null", "[]", "{}", "a=", "=a", "'", '"']
_WORSE = [
    "[" * 3000,
    '{"a": 1}',
    "x" * 10_000,
    "\x1b]52;c;eA==\x07",
    "é\u202e",
    "../..",
    "/dev/null",
]
VALUES = st.one_of(
    *(st.sampled_from(some) for some in (_RIGHT, _TIMES, _ODD, _WORSE, ["{{ secrets.x }}"])),
    st.integers().map(str),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)


@dataclass(frozen=True)
class Command:
    """One of the program, with its options and the number of its positional arguments."""

    words: tuple[str, ...]
    options: tuple[str, ...]
    positional: int


def commands(of: App = app, words: tuple[str, ...] = ()) -> Iterator[Command]:
    below = [name for name in of if not name.startswith("-")]
    for name in below:
        yield from commands(of[name], (*words, name))
    if not below and words not in ENDLESS:
        named = [argument.names for argument in of.assemble_argument_collection()]
        options = {name for names in named for name in names if name.startswith("--")}
        places = sum(not name.startswith(("-", "*")) for names in named for name in names)
        yield Command(words, tuple(sorted(options - WAITING)), places)


COMMANDS = list(commands())


@st.composite
def lines(draw: st.DrawFn) -> Sequence[str]:
    command = draw(st.sampled_from(COMMANDS))
    count = draw(st.integers(0, command.positional + 1))
    line = [draw(VALUES) for _ in range(count)]
    for option in draw(st.lists(st.sampled_from(command.options or ("--help",)), max_size=4)):
        line.append(option)
        if draw(st.booleans()):
            line.append(draw(VALUES))
    return [*command.words, *line]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    home: Path = tmp_path_factory.mktemp("home")
    secrets = {"PUSH_DISPATCH_SECRETS": "env", "PUSH_DISPATCH_SECRET_x": CANARY}
    cli, here = Cli(home, secrets), Path.cwd()
    template: dict[str, Any] = {"job_configuration": {"command": "true"}, "variables": {}}
    with environment(cli.env):
        runtime = LocalRuntime("default", home / "data", platforms={"process": MemoryPlatform()})
        runtime.start()
    os.chdir(home)  # Whatever a name of a file leads to.
    try:
        create_pool(runtime.ports, Pool("etl", "process", limit=2, secrets=("*",)), template)
        yield cli
        kept = [file for file in home.rglob("*") if file.is_file()]
        assert [file for file in kept if CANARY.encode() in file.read_bytes()] == []
    finally:
        os.chdir(here)
        runtime.stop()


def test_the_commands_are_found() -> None:
    assert {command.words[0] for command in COMMANDS} >= {"pool", "queue", "run", "deployment"}
    assert len(COMMANDS) > 40


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(
    max_examples=600,
    deadline=timedelta(seconds=60),
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(line=lines())
def test_any_command_line_ends_as_documented(cli: Cli, line: Sequence[str]) -> None:
    """`Cli` fails for a traceback and for an internal error."""
    with bounded(30):
        done = cli(*line)
    assert CANARY not in done.out + done.err
    assert done.code in DOCUMENTED, done.err
    assert done.code == 0 or done.err.strip(), "it does not say why"
