"""Does a runtime say what the last one has left, if that one was killed?"""

from __future__ import annotations

from pathlib import Path

from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool, RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from push_dispatch.local.runtime import LocalRuntime
from tests.local import eventually

TEMPLATE = {"job_configuration": {"command": "sleep 600"}, "variables": {}}


def test_after_an_unclean_stop_it_says_what_it_found(tmp_path: Path) -> None:
    with LocalRuntime("unclean", tmp_path) as runtime:
        assert runtime.found == ""
        create_pool(runtime.ports, Pool("etl", "process"), TEMPLATE)
        run = submit(runtime.ports, Request("etl")).run
        eventually(lambda: state(runtime, run.uuid) is RunState.RUNNING)
    with LocalRuntime("unclean", tmp_path) as runtime:
        assert runtime.found == "", "it was stopped"
    (tmp_path / "running").touch()  # What a kill leaves.
    with LocalRuntime("unclean", tmp_path) as runtime:
        assert runtime.found == (
            "the last runtime was not stopped but ended: going on with 0 changes and 0 messages in "
            "the middle, and 1 jobs that run or have ended since"
        )
        assert runtime.found in runtime.log.read_text()
        cancel(runtime.ports, run.id)
        eventually(lambda: state(runtime, run.uuid) is RunState.CANCELLED)


def state(runtime: LocalRuntime, uuid: str) -> RunState | None:
    run = runtime.ports.store.run("etl", uuid)
    return run.state if run else None
