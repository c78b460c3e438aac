"""Runs by filter: listed, cancelled and retried, with a dry run before."""

from __future__ import annotations

import pytest

from tests.local import Cli


def submit(cli: Cli, pool: str, *options: str) -> str:
    return cli.ok("run", "submit", pool, *options, "--", "true").out.strip()


@pytest.fixture
def three(cli: Cli, pool: str) -> list[str]:
    """Three runs that wait: with tag a, in queue other, and of name x."""
    cli.ok("pool", "pause", pool)
    cli.ok("queue", "create", "other", "--pool", pool)
    options = (("--tag", "a"), ("--queue", "other"), ("--name", "x", "--key", "k"))
    return [submit(cli, pool, *each) for each in options]


def test_a_list_by_each_filter(cli: Cli, pool: str, three: list[str]) -> None:
    def listed(*options: str) -> list[str]:
        return [r["id"] for r in cli.ok("run", "ls", "--pool", pool, "--json", *options).json]

    tagged, other, named = three
    assert listed("--tag", "a") == [tagged]
    assert listed("--queue", "other") == [other]
    assert listed("--name", "x") == [named]
    assert listed("--since", "1h") == [named, other, tagged]
    assert listed("--since", "1h", "--limit", "1") == [named]
    assert listed("--until", "2020-01-01T00:00:00Z") == []
    assert listed("--deployment", "none") == []
    states = ("--state", "FAILED", "--state", "SCHEDULED")
    assert set(listed(*states, "--queue", "default")) == {tagged, named}


def test_what_a_filter_chooses_is_cancelled_only_with_yes(
    cli: Cli, pool: str, three: list[str]
) -> None:
    chosen = ("--pool", pool, "--queue", "default")
    refused = cli("run", "cancel", *chosen)
    assert refused.code == 1
    assert "Cancel 2 runs? Nothing was changed" in refused.err
    dry = cli.ok("run", "cancel", *chosen, "--dry-run").out
    assert {line.split()[0] for line in dry.splitlines()} == {three[0], three[2]}
    assert cli.ok("run", "ls", "--pool", pool, "--state", "CANCELLED", "--json").json == []
    assert len(cli.ok("run", "cancel", *chosen, "--yes", "--json").json) == 2
    states = {r["id"]: r["state"] for r in cli.ok("run", "ls", "--pool", pool, "--json").json}
    assert [states[each] for each in three] == ["CANCELLED", "SCHEDULED", "CANCELLED"]


def test_a_bound_on_how_many(cli: Cli, pool: str, three: list[str]) -> None:
    done = cli.ok("run", "cancel", "--pool", pool, "--limit", "1", "--yes")
    assert len(done.out.splitlines()) == 1
    assert "there may be more" in done.err
    assert len(three) == 3


def test_neither_ids_nor_filters_or_both(cli: Cli, pool: str, three: list[str]) -> None:
    for verb in ("cancel", "retry"):
        assert "name runs, or choose them with filters" in cli("run", verb).err
        assert cli("run", verb, three[0], "--pool", pool).code == 2


def test_a_run_is_retried_once(cli: Cli, pool: str) -> None:
    first = cli.ok("run", "submit", pool, "--wait", "--name", "n", "--", "true").out.strip()
    second = cli.ok("run", "retry", first).out.strip()
    assert second != first
    again = cli.ok("run", "retry", first)
    assert again.out.strip() == second
    assert f"{first} was retried before" in again.err
    assert cli.ok("run", "inspect", second, "--json").json["name"] == "n"


def test_what_fails_for_one_run_fails_for_no_other(cli: Cli, pool: str) -> None:
    ended = cli.ok("run", "submit", pool, "--wait", "--", "true").out.strip()
    cli.ok("pool", "pause", pool)
    waits = submit(cli, pool)
    done = cli("run", "retry", waits, ended)
    assert done.code == 1
    assert "[not_ended]" in done.err
    assert done.out.startswith(f"{pool}.")
    assert cli("run", "retry", "--pool", pool, "--state", "FAILED", "--yes").code == 0
