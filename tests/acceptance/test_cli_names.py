"""A run by a part of its id, or by its name, in every command that takes one."""

from __future__ import annotations

import pytest

from tests.local import Cli


def test_every_command_takes_the_beginning_the_end_or_the_name(cli: Cli, pool: str) -> None:
    cli.ok("pool", "pause", pool)
    run_id = cli.ok("run", "submit", pool, "--name", "by its name", "--", "true").out.strip()
    uuid = run_id.rpartition(".")[2]
    for part in (uuid, uuid[:22], uuid[-6:], f"{pool}.{uuid[-8:]}", f"…{uuid[-8:]}", "by its name"):
        assert cli.ok("run", "inspect", part, "--json").json["id"] == run_id
    end = uuid[-10:]
    assert cli.ok("run", "explain", end, "--json").json["id"] == run_id
    assert cli.ok("run", "boost", end).out.startswith(run_id)
    assert cli.ok("run", "logs", end).code == 0
    cli.ok("queue", "create", "other", "--pool", pool)
    assert cli.ok("run", "move", end, "--queue", "other").out.startswith(run_id)
    assert cli.ok("run", "cancel", end).out.strip() == f"{run_id} is CANCELLED."
    assert f"run {run_id} is CANCELLED" in cli("run", "wait", end).err


def test_what_fits_several_runs_lists_them(cli: Cli, pool: str) -> None:
    cli.ok("pool", "pause", pool)
    ids = cli.ok("run", "submit", pool, "--name", "twins", "--count", "2", "--", "true").out.split()
    done = cli("run", "inspect", "twins")
    assert done.code == 2
    assert "is the name or part of the id of 2 runs" in done.err
    assert all(f"- {each} SCHEDULED (twins)" in done.err for each in ids)


@pytest.mark.parametrize("text", ["", "no such", "zzzzzzzz", "0", "nopool.0199"])
def test_what_fits_none_says_where_it_was_searched(cli: Cli, text: str) -> None:
    done = cli("run", "inspect", text)
    assert done.code == 1
    assert "among the latest runs of each pool [run_not_found]" in done.err


def test_what_names_a_pool_or_a_deployment_says_which_run_is_its_newest(
    cli: Cli, pool: str
) -> None:
    assert f"'{pool}' is a pool, and no run: it has no run yet" in cli("run", "logs", pool).err
    cli.ok("deployment", "create", "of-names", "--pool", pool, "--var", "command=echo x")
    run_id = cli.ok("deployment", "run", "of-names").out.strip()
    for name, what in ((pool, "a pool"), ("of-names", "a deployment")):
        done = cli("run", "logs", name)
        assert done.code == 1
        assert f"'{name}' is {what}, and no run: its newest run is {run_id} " in done.err
        assert "[run_not_found]" in done.err
