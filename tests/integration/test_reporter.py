"""Does a run in the local runtime end through its own report, and stop when it is told to?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.platforms.process import Process
from tests.local import Cli, eventually

pytestmark = pytest.mark.xdist_group("local")


class Silent(Process):
    """A platform that sends no events: only reports, or a look a minute later, tell of an end."""

    def watch(self, tell: Any) -> None:
        super().watch(lambda event: None)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("reporter")
    cli = Cli(folder / "home")
    platform = Silent({"PUSH_DISPATCH_PROCESS_DIR": str(folder / "data" / "processes")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(cli.home))
        with LocalRuntime("reports", folder / "data", {}, {"process": platform}):
            cli.ok("pool", "create", "p", "--type", "process")
            yield cli


@pytest.mark.parametrize("kind", ["python", "sh"])
@pytest.mark.parametrize(("code", "state"), [(0, "COMPLETED"), (3, "FAILED")])
def test_an_end_is_known_at_once(cli: Cli, kind: str, code: int, state: str) -> None:
    submit = ("run", "submit", "p", "--var", f"reporter={kind}", "--json")
    run = cli.ok(*submit, "--", "sh", "-c", f"echo hello; exit {code}").json["id"]
    cli("run", "wait", run, "--timeout", "20s")
    shown = cli.ok("run", "inspect", run, "--json").json
    assert (shown["state"], shown["attempts"][0]["exit_code"]) == (state, code)
    assert cli.ok("run", "logs", run).out == "hello\n"


def test_a_cancellation_stops_it(cli: Cli) -> None:
    env = ("--var", 'env={"PUSH_DISPATCH_REPORT_SECONDS":"0.1"}')
    submit = ("run", "submit", "p", "--var", "reporter=python", *env, "--json")
    run = cli.ok(*submit, "--", "sleep", "60").json["id"]
    eventually(lambda: cli.ok("run", "inspect", run, "--json").json["state"] == "RUNNING", 20)
    cli.ok("run", "cancel", run)
    cli("run", "wait", run, "--timeout", "20s")
    assert cli.ok("run", "inspect", run, "--json").json["state"] == "CANCELLED"


def test_a_kind_that_does_not_exist_is_refused(cli: Cli) -> None:
    done = cli("run", "submit", "p", "--var", "reporter=perl", "--", "true")
    assert done.code == 1
    assert "reporter" in done.err
