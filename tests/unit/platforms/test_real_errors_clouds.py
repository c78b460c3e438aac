"""Does each error of a real user end in the right class: passes, stays, capacity, credentials?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from google.cloud import run_v2
from google.rpc.status_pb2 import Status as RpcStatus  # type: ignore[import-untyped]

from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms import aci, cloud_run, coiled, modal, vertex
from push_dispatch.platforms.aci.verdict import read as read_group
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.cloud_run.verdict import read as read_execution, without_execution
from push_dispatch.platforms.coiled.verdict import read as read_cluster
from push_dispatch.platforms.refusals import Reaction, Row, judge, wording
from push_dispatch.platforms.vertex.verdict import read as read_job
from tests.unit.platforms.real_errors_clouds import ENDS, REFUSALS, End, Refusal

TABLES: Mapping[str, tuple[Row, ...]] = {
    "aci": aci.ERRORS,
    "cloud-run": cloud_run.ERRORS,
    "coiled": coiled.ERRORS,
    "modal": modal.ERRORS,
    "vertex": vertex.ERRORS,
}
_FAILED: Any = run_v2.Condition.State.CONDITION_FAILED
_SEEN = Observation("p.1", 1, Status.UNKNOWN, "h")


def _name(case: Refusal | End) -> str:
    return f"{case.source.removeprefix('https://github.com/')} {case.kind}"


def _of_row(row: Row) -> str:
    match row.reaction:
        case Reaction.CAPACITY:
            return "capacity"
        case Reaction.PERMANENT | Reaction.GONE:
            return "credentials" if row.reason == "access_denied" else "stays"
        case _:
            return "passes"


def _of_end(seen: Observation) -> str:
    assert seen.status is Status.ENDED
    if seen.reason is None:
        return f"exit {seen.exit_code}"
    if seen.reason == "no_capacity":
        return "capacity"
    return "passes" if seen.retryable else "stays"


def _cloud_run(end: End) -> Observation:
    condition = run_v2.Condition(type_="Completed", state=_FAILED, message=end.text)
    if not end.code:
        return without_execution(run_v2.Job(terminal_condition=condition), _SEEN)
    status = RpcStatus(code=10, message=end.text)
    result = run_v2.TaskAttemptResult(exit_code=end.code, status=status)
    execution = run_v2.Execution(conditions=[condition], failed_count=1)
    return read_execution(execution, [run_v2.Task(last_attempt_result=result)], _SEEN)


def _vertex(end: End) -> Observation:
    error = {"code": end.code, "message": end.text}
    return read_job({"state": "JOB_STATE_FAILED", "error": error}, _SEEN)


def _aci(end: End) -> Observation:
    event = {"type": "Normal", "message": end.text, "firstTimestamp": "2020-01-01T00:00:00Z"}
    container = {"name": "job", "properties": {"instanceView": {"events": [event]}}}
    group = {"properties": {"containers": [container], "provisioningState": "Failed"}}
    return read_group(group, Watched("h", "p.1", 1), 2e9).observation


def _coiled(end: End) -> Observation:
    job = {"state": "pending", "cluster_state": "error", "cluster_state_reason": end.text}
    return read_cluster([{**job, "tasks": [{"state": "pending"}]}], _SEEN)


READ: Mapping[str, Callable[[End], Observation]] = {
    "aci": _aci,
    "cloud-run": _cloud_run,
    "coiled": _coiled,
    "vertex": _vertex,
}


@pytest.mark.parametrize("case", REFUSALS, ids=_name)
def test_a_refusal_is_of_its_kind(case: Refusal) -> None:
    row = judge(TABLES[case.platform], case.status, wording(case.text))
    assert _of_row(row) == case.kind


@pytest.mark.parametrize("case", ENDS, ids=_name)
def test_an_end_is_of_its_kind(case: End) -> None:
    assert _of_end(READ[case.platform](case)) == case.kind


@pytest.mark.parametrize("name", ["oom", "quota", "secret", "timeout", "permission", "image"])
@pytest.mark.parametrize("case", [*REFUSALS, *ENDS], ids=_name)
def test_names_and_links_change_nothing(case: Refusal | End, name: str) -> None:
    """A near miss: the words that a table looks for, in places where somebody chose them."""
    chosen = f"{case.text} (projects/{name}/x, https://{name}.dev/{name}?{name}={name}, 'a/{name}')"
    test = (
        test_a_refusal_is_of_its_kind if isinstance(case, Refusal) else test_an_end_is_of_its_kind
    )
    test(case._replace(text=chosen))  # type: ignore[arg-type]


def test_there_are_enough_of_them_and_each_has_its_source() -> None:
    cases: list[Refusal | End] = [*REFUSALS, *ENDS]
    assert len(cases) >= 75
    assert len({case.source for case in cases}) >= 70
    assert all(case.source.startswith("https://github.com/") for case in cases)
    assert {case.platform for case in cases} == set(TABLES)
    kinds = {case.kind.partition(" ")[0] for case in cases}
    assert kinds == {"passes", "stays", "capacity", "credentials", "exit"}
