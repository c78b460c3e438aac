"""Does a run in the local runtime end through its own report, and stop when it is told to?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local import Cli, LocalUp, eventually

#: The platform sends no events: only a report, or the poll a minute later, shows an end.
SILENT = """
from push_dispatch.platforms.process import Process
watch = Process.watch
Process.watch = lambda self, tell: watch(self, lambda event: None)
"""
#: Less than the minute after which a silent run is polled.
AT_ONCE = "40s"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("home"))
    with LocalUp(cli, before=SILENT):
        cli.ok("pool", "create", "p", "--type", "process")
        yield cli


@pytest.mark.parametrize("kind", ["python", "sh"])
@pytest.mark.parametrize(("code", "state"), [(0, "COMPLETED"), (3, "FAILED")])
def test_an_end_is_known_at_once(cli: Cli, kind: str, code: int, state: str) -> None:
    submit = ("run", "submit", "p", "--var", f"reporter={kind}", "--json")
    run = cli.ok(*submit, "--", "sh", "-c", f"echo hello; exit {code}").json["id"]
    cli("run", "wait", run, "--timeout", AT_ONCE)
    shown = cli.ok("run", "inspect", run, "--json").json
    assert (shown["state"], shown["attempts"][0]["exit_code"]) == (state, code)
    assert cli.ok("run", "logs", run).out == "hello\n"


def test_a_cancellation_stops_it(cli: Cli) -> None:
    env = ("--var", 'env={"PUSH_DISPATCH_REPORT_SECONDS":"0.1"}')
    submit = ("run", "submit", "p", "--var", "reporter=python", *env, "--json")
    run = cli.ok(*submit, "--", "sleep", "60").json["id"]
    eventually(lambda: cli.ok("run", "inspect", run, "--json").json["state"] == "RUNNING")
    cli.ok("run", "cancel", run)
    cli("run", "wait", run, "--timeout", AT_ONCE)
    assert cli.ok("run", "inspect", run, "--json").json["state"] == "CANCELLED"


def test_a_kind_that_does_not_exist_is_refused(cli: Cli) -> None:
    done = cli("run", "submit", "p", "--var", "reporter=perl", "--", "true")
    assert done.code == 1
    assert "reporter" in done.err
