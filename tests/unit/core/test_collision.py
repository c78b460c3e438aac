"""Who is to make room for a run that replaces what runs?"""

from __future__ import annotations

from push_dispatch.core.collision import to_stop
from push_dispatch.core.model import Collision, Holder, Ledger, Pool, Ready

NOW = 1_800_000_000_000
POOL = Pool("p", "process", deployment_limits={"d": 2}, key_limit=1)


def entry(collision: Collision = Collision.CANCEL_RUNNING, *, key: str = "") -> Ready:
    deployment = "" if key else "d"
    return Ready(
        "default",
        NOW,
        "n",
        "new",
        1,
        concurrency_key=key,
        deployment=deployment,
        collision=collision,
    )


LEDGER = Ledger(
    "p",
    1,
    (
        Holder("b", 1, "default", 2, deployment="d"),
        Holder("a", 1, "default", 1, deployment="d"),
        Holder("c", 1, "default", 0, concurrency_key="k"),
    ),
)


def chosen(new: Ready, *stopping: str, pool: Pool = POOL) -> list[str]:
    return [each.run for each in to_stop(pool, LEDGER, new, set(stopping), NOW)]


def test_the_oldest_of_its_deployment_makes_room() -> None:
    assert chosen(entry()) == ["a"]


def test_who_stops_already_counts() -> None:
    assert chosen(entry(), "a") == []
    assert chosen(entry(), "b") == []


def test_a_run_without_a_deployment_replaces_one_of_its_key() -> None:
    assert chosen(entry(key="k")) == ["c"]
    assert chosen(entry(key="other")) == []


def test_nobody_is_stopped_where_there_is_room_or_for_other_strategies() -> None:
    roomy = Pool("p", "process", deployment_limits={"d": 3})
    assert chosen(entry(), pool=roomy) == []
    assert chosen(entry(), pool=Pool("p", "process")) == []
    for other in (Collision.ENQUEUE, Collision.CANCEL_NEW, Collision.LATEST):
        assert chosen(entry(other)) == []


def test_a_lowered_limit_stops_as_many_as_are_missing() -> None:
    assert chosen(entry(), pool=Pool("p", "process", deployment_limits={"d": 1})) == ["a", "b"]
    assert chosen(entry(), pool=Pool("p", "process", deployment_limits={"d": 0})) == []
