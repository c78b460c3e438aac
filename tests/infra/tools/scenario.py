"""Does a deployed stack work? Seen from outside: the command line, the buses, and ECS.

Nothing here knows who executes the functions: the emulator, or the Lambda runtime client.
"""

from __future__ import annotations

import json

from tests.infra.tools.stack import Stack
from tests.local import eventually

__all__ = [
    "requests_become_runs_that_finish",
    "the_doctor_finds_nothing_wrong",
    "what_is_wrong_is_set_aside",
]

#: Cold starts on two busy cores take their time.
_SECONDS = 90


def requests_become_runs_that_finish(stack: Stack, pool: str) -> None:
    """Two events on the bus, room for one: the end of the first run starts the second."""
    created = stack.cli.typed("pool", "create", pool, "--type", "ecs", "--limit", "1")
    assert created.code == 0, created.err
    first, second = (_asked(stack, pool, number) for number in (1, 2))
    eventually(lambda: len(stack.tasks(pool)) == 1, _SECONDS)
    assert _states(stack, pool) == {first: "PENDING", second: "SCHEDULED"}
    [one] = stack.tasks(pool)
    assert stack.ecs.environment(one)["GREETING"] == "1"
    stack.ecs.begin(one)
    stack.tell_of(one)
    eventually(lambda: _states(stack, pool)[first] == "RUNNING", _SECONDS)
    _ends(stack, one, 0)
    eventually(lambda: len(stack.tasks(pool)) == 2, _SECONDS)
    assert _states(stack, pool)[first] == "COMPLETED"
    _ends(stack, stack.tasks(pool)[1], 3)
    eventually(lambda: _states(stack, pool)[second] == "FAILED", _SECONDS)
    _check_attempts(stack, pool, {first: 0, second: 3})
    _check_told(
        stack,
        {
            first: ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"],
            # Of its task only the end is heard, as ECS's events come in no order.
            second: ["SCHEDULED", "PENDING", "FAILED"],
        },
    )


def what_is_wrong_is_set_aside(stack: Stack, pool: str) -> None:
    """A request that nobody can fulfil waits for a person, with its reason."""
    stack.take(stack.queues["RejectedQueue"])
    stack.ask_for(pool=pool, job_variables={"imagge": "app:1"})
    refused: list[dict[str, str]] = []

    def is_there() -> bool:
        for message in stack.take(stack.queues["RejectedQueue"]):
            reason = message["MessageAttributes"]["reason"]["StringValue"]
            refused.append({"pool": json.loads(message["Body"])["detail"]["pool"], "why": reason})
        return bool(refused)

    eventually(is_there, _SECONDS)
    assert refused == [{"pool": pool, "why": "invalid_variables"}], refused


def _asked(stack: Stack, pool: str, number: int) -> str:
    """The id of the run that the event of this number has become."""
    before = set(_states(stack, pool))
    variables = {"image": "app:1", "command": "work", "env": {"GREETING": str(number)}}
    stack.ask_for(pool=pool, job_variables=variables)
    eventually(lambda: len(_states(stack, pool)) == number, _SECONDS)
    [made] = set(_states(stack, pool)) - before
    return made


def _ends(stack: Stack, token: str, exit_code: int) -> None:
    stack.ecs.finish(token, exit_code)
    stack.tell_of(token)


def _states(stack: Stack, pool: str) -> dict[str, str]:
    return {run["id"]: run["state"] for run in stack.runs(pool)}


def _check_attempts(stack: Stack, pool: str, exit_codes: dict[str, int]) -> None:
    seen = {run["id"]: [a["exit_code"] for a in run["attempts"]] for run in stack.runs(pool)}
    assert seen == {run: [exit_code] for run, exit_code in exit_codes.items()}
    tokens = stack.tasks(pool)
    assert [stack.ecs.starts(token) for token in tokens] == [1, 1]
    eventually(lambda: _slots_used(stack, pool) == 0, _SECONDS)


def _slots_used(stack: Stack, pool: str) -> int:
    used: int = stack.cli.ok("pool", "inspect", pool, "--json").json["slots_used"]
    return used


def _check_told(stack: Stack, changes: dict[str, list[str]]) -> None:
    """The bus hears of every change, at least once and each under one id."""
    reported: dict[str, tuple[str, str]] = {}

    def is_complete() -> bool:
        for message in stack.take(stack.heard):
            detail = json.loads(message["Body"])["detail"]
            reported[detail["id"]] = (detail["run"], detail["to"])
        return all((run, states[-1]) in reported.values() for run, states in changes.items())

    eventually(is_complete, _SECONDS)
    for run, states in changes.items():
        assert sorted(to for of, to in reported.values() if of == run) == sorted(states)


def the_doctor_finds_nothing_wrong(stack: Stack, *warnings: str) -> None:
    """Typed by somebody who looks after the system. These checks may warn: what they warn of is
    so, by the deployment's own wish or the emulator's shortcoming."""
    done = stack.cli.typed("doctor", "--json")
    wrong = [found for found in done.json if found["verdict"] not in {"ok", "warning"}]
    assert (done.code, wrong) == (0, []), wrong
    warned = {found["check"] for found in done.json if found["verdict"] == "warning"}
    assert warned <= set(warnings), warned
    assert {"ledger", "credentials", "permissions"} <= {found["check"] for found in done.json}
