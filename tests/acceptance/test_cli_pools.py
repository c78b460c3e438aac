"""Pools and queues, as somebody types the commands."""

from __future__ import annotations

from tests.local import Cli, eventually, waiting


def test_a_pool_from_creation_to_deletion(cli: Cli) -> None:
    cli.ok("pool", "create", "etl", "--type", "process", "--limit", "4", "--description", "d")
    assert "etl" in cli.ok("pool", "ls").out
    cli.ok("pool", "set-limit", "etl", "8")
    assert cli.ok("pool", "inspect", "etl", "--json").json["limit"] == 8
    cli.ok("pool", "clear-limit", "etl")
    cli.ok("pool", "update", "etl", "--description", "other")
    cli.ok("pool", "pause", "etl")
    view = cli.ok("pool", "inspect", "etl", "--json").json
    assert (view["limit"], view["description"], view["paused"]) == (None, "other", True)
    cli.ok("pool", "resume", "etl")
    cli.ok("pool", "delete", "etl")
    assert "[pool_not_found]" in cli("pool", "inspect", "etl").err


def test_a_pool_sets_what_job_variables_are_unless_a_run_sets_them(cli: Cli) -> None:
    cli.ok("pool", "create", "with-defaults", "--type", "process", "--var", "env.LEVEL=info")
    cli.ok("pool", "update", "with-defaults", "--var", "env.TEAM=data")
    sent = cli.ok(
        "run", "render", "with-defaults", "--var", "env.LEVEL=debug", "--json", "--", "env"
    ).json
    assert sent["configuration"]["env"].items() >= {"LEVEL": "debug", "TEAM": "data"}.items()
    assert sent["provenance"]["env.TEAM"] == "pool"
    refused = cli("pool", "create", "q", "--type", "process", "--var", "imgae=x")
    assert "[invalid_variables]" in refused.err
    assert "[pool_not_found]" in cli("pool", "inspect", "q").err


def test_how_a_pool_waits_for_its_platform(cli: Cli) -> None:
    cli.ok("pool", "create", "p", "--type", "process", "--platform-rate", "20/1s", "--hold", "0")
    cli.ok("pool", "update", "p", "--give-up", "1d")
    view = cli.ok("pool", "inspect", "p", "--json").json
    assert view["platform_rate"] == {"starts": 20, "period_seconds": 1}
    assert (view["hold_seconds"], view["give_up_seconds"]) == (0, 86_400)
    assert "after 24h00m without room" in cli.ok("pool", "inspect", "p").out
    cli.ok("pool", "update", "p", "--give-up", "never")
    assert cli.ok("pool", "inspect", "p", "--json").json["give_up_seconds"] is None
    assert "hold_seconds 90000" in cli("pool", "update", "p", "--hold", "25h").err


def test_queues_make_room_for_a_taken_priority(cli: Cli, pool: str) -> None:
    cli.ok("queue", "create", "a", "--pool", pool, "--priority", "1")
    cli.ok("queue", "create", "b", "--pool", pool, "--priority", "1", "--limit", "3")
    queues = cli.ok("queue", "ls", "--pool", pool, "--json").json
    assert [(q["name"], q["priority"]) for q in queues] == [("b", 1), ("a", 2), ("default", 3)]
    cli.ok("queue", "update", "a", "--pool", pool, "--priority", "1")
    queues = cli.ok("queue", "ls", "--pool", pool, "--json").json
    assert queues[0]["name"] == "a"
    cli.ok("queue", "set-limit", "a", "0", "--pool", pool)
    cli.ok("queue", "pause", "b", "--pool", pool)
    shown = cli.ok("queue", "inspect", "b", "--pool", pool, "--json").json
    assert (shown["paused"], shown["limit"]) == (True, 3)
    assert "of 0" in cli.ok("queue", "ls", "--pool", pool).out


def test_deleting_a_queue_moves_its_runs_to_default(cli: Cli, pool: str) -> None:
    cli.ok("queue", "create", "night", "--pool", pool, "--paused")
    run_id = cli.ok("run", "submit", pool, "--queue", "night", "--", "true").out.strip()
    eventually(lambda: waiting(cli, pool) == 1)
    done = cli.ok("queue", "delete", "night", "--pool", pool, "--json").json
    assert done["moved_runs"] == 1
    assert cli.ok("run", "wait", run_id, "--timeout", "120s", "--json").json["queue"] == "default"


def test_a_pool_with_waiting_runs_is_deleted_only_by_force(cli: Cli, pool: str) -> None:
    cli.ok("pool", "pause", pool)
    run_id = cli.ok("run", "submit", pool, "--", "true").out.strip()
    refused = cli("pool", "delete", pool)
    assert (refused.code, "[pool_not_empty]" in refused.err) == (1, True)
    assert cli.ok("pool", "delete", pool, "--force", "--json").json["cancelled_runs"] == 1
    assert "[pool_not_found]" in cli("run", "submit", pool, "--", "true").err
    assert run_id


def test_strict_priority_within_limits(cli: Cli, pool: str) -> None:
    cli.ok("pool", "set-limit", pool, "1")
    cli.ok("pool", "pause", pool)
    for name, priority in (("low", 10), ("high", 1)):
        cli.ok("queue", "create", name, "--pool", pool, "--priority", str(priority))
        cli.ok("run", "submit", pool, "--queue", name, "--count", "2", "--", "true")
    # The stream enqueues them; before that, a low one could be the only one there is.
    eventually(lambda: waiting(cli, pool) == 4)
    cli.ok("pool", "resume", pool)
    runs = cli.ok("run", "ls", "--pool", pool, "--json").json
    cli.ok("run", "wait", *[run["id"] for run in runs], "--timeout", "120s")
    runs = cli.ok("run", "ls", "--pool", pool, "--json").json
    runs.sort(key=lambda run: run["attempts"][0]["started_at"])
    assert [run["queue"] for run in runs] == ["high", "high", "low", "low"]


def test_limits_per_key_and_per_period(cli: Cli, pool: str) -> None:
    cli.ok("pool", "update", pool, "--limit", "5", "--key-limit", "1", "--rate", "100/1h")
    cli.ok("queue", "create", "slow", "--pool", pool, "--rate", "1/1h")
    view = cli.ok("pool", "inspect", pool, "--json").json
    assert (view["key_limit"], view["rate"]) == (1, {"starts": 100, "period_seconds": 3600})
    command = ("--concurrency-key", "k", "--", "sleep", "900")
    first = cli.ok("run", "submit", pool, *command).out.strip()
    second = cli.ok("run", "submit", pool, *command).out.strip()

    def reason(run_id: str) -> str:
        return str(cli.ok("run", "explain", run_id, "--json").json["reason"])

    eventually(lambda: (reason(first), reason(second)) == ("running", "key_limit"))
    cli.ok("run", "submit", pool, "--queue", "slow", "--wait", "--", "true")
    third = cli.ok("run", "submit", pool, "--queue", "slow", "--", "true").out.strip()
    eventually(lambda: reason(third) == "rate_limit")
    cli.ok("run", "cancel", first, second, third)
    assert "[invalid_input]" in cli("pool", "update", pool, "--rate", "often").err


def test_each_limit_and_rate_that_is_set_can_be_removed(cli: Cli, pool: str) -> None:
    given = ("--rate", "100/h", "--platform-rate", "20/1s")
    shown = cli.ok("pool", "update", pool, *given, "--key-limit", "2", "--json").json
    assert shown["rate"] == {"starts": 100, "period_seconds": 3600}
    gone = ("--rate", "none", "--platform-rate", "none")
    shown = cli.ok("pool", "update", pool, *gone, "--json").json
    assert (shown["rate"], shown["platform_rate"], shown["key_limit"]) == (None, None, 2)
    assert cli.ok("pool", "clear-key-limit", pool, "--json").json["key_limit"] is None
    cli.ok("queue", "create", "q", "--pool", pool, "--rate", "1/1m", "--key-limit", "1")
    assert (
        cli.ok("queue", "update", "q", "-p", pool, "--rate", "none", "--json").json["rate"] is None
    )
    shown = cli.ok("queue", "clear-key-limit", "q", "--pool", pool, "--json").json
    assert shown["key_limit"] is None


def test_a_submission_beyond_max_waiting_is_refused(cli: Cli, pool: str) -> None:
    cli.ok("pool", "set-limit", pool, "0")
    cli.ok("pool", "set-max-waiting", pool, "1", "--queue", "default")
    cli.ok("run", "submit", pool, "--", "true")
    refused = cli("run", "submit", pool, "--", "true")
    assert "1 runs of queue 'default' wait" in refused.err
    assert "[too_many_waiting]" in refused.err
    shown = cli.ok("pool", "set-max-waiting", pool, "off", "--queue", "default", "--json").json
    assert [queue["max_waiting"] for queue in shown["queues"]] == [None]
    cli.ok("run", "submit", pool, "--", "true")
    assert "--queue NAME or --per-key" in cli("pool", "set-max-waiting", pool, "1").err
    assert "is not an integer" in cli("pool", "set-max-waiting", pool, "x", "--per-key").err
