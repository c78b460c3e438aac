"""Does any item that somebody puts into the table read as a value that everything takes?"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.core.bounds import LAST_TIME
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.errors import Unreadable
from push_dispatch.core.lifecycle import end_malformed
from push_dispatch.core.model import Attempt, Holder, Ledger, Pool, Queue, Ready, Run, RunState
from push_dispatch.core.usage import slot_name
from push_dispatch.handlers.stream import change_of
from push_dispatch.insight.views import pool_view, run_view
from push_dispatch.ports.notification import notification_of
from push_dispatch.ports.store import Change
from tests.bounded import bounded

ID = "0199c1f0-0000-7000-8000-000000000001"
NOW = 1_800_000_000_000

STATES = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "FAILED")
WORDS = (*STATES, "ENQUEUE", "x", "null", "[]", "{}", "[1]", "NaN", "1e999", "{", "a#b")
DOCUMENTS = ('"text"', '["tag"]', '{"a":1}', '{"a":1e999}', '{"a":NaN}', '{"a":"\\ud800"}')
TEXTS = st.sampled_from(["", ID, "\ud800", "é" * 600, "[" * 3000, "1" * 5000, *WORDS, *DOCUMENTS])
NUMBERS = st.sampled_from(
    [*["0", "1", "-1", "1.5", "1e3", "nine", "-62135596800000"], "", "9" * 38]
    + [str(n) for n in (2**32, 2**64, NOW, NOW * 1000, LAST_TIME, LAST_TIME + 1)]
)
ATTRIBUTES = st.one_of(
    st.builds(lambda v: {"S": v}, TEXTS),
    st.builds(lambda v: {"N": v}, NUMBERS),
    st.just({"BOOL": True}),
    st.just({"NULL": True}),
    st.just({"L": []}),
    st.just({"B": b"\xff"}),
)
PLAIN = st.one_of(
    *(st.none(), st.booleans(), st.integers(-1, 2), st.just(NOW), st.just(2**70), st.floats()),
    *(st.sampled_from(["", "x", "\ud800"]), st.just([]), st.just(["x"]), st.just({})),
)
ATTEMPTS = st.lists(
    st.dictionaries(
        st.sampled_from([*Attempt.__dataclass_fields__, "of_a_newer_version"]), PLAIN, max_size=5
    )
    | PLAIN,
    max_size=2,
)


def sound() -> dict[str, Any]:
    """A run that is under way, as we store it."""
    attempt = Attempt(1, "ecs", "t", "ecs", claim="c", claimed_at=NOW, handle="h", pushed_at=NOW)
    run = Run("p", ID, "default", NOW, NOW, ID, attempt=1, attempts=(attempt,))
    return items.run_item(run)


@st.composite
def run_items(draw: st.DrawFn) -> dict[str, Any]:
    item = sound()
    item["state"] = {"S": draw(st.sampled_from(list(RunState))).value}
    names = [*item, *Run.__dataclass_fields__, "of_a_newer_version"]
    names = [name for name in dict.fromkeys(names) if name not in ("PK", "SK", "pool", "uuid")]
    for name in draw(st.lists(st.sampled_from(names), max_size=3)):
        item[name] = draw(ATTRIBUTES)
    if draw(st.booleans()):
        item["attempts"] = {"S": json.dumps(draw(ATTEMPTS))}
    for name in draw(st.lists(st.sampled_from(names), max_size=1)):
        item.pop(name, None)
    return item


def is_taken(run: Run) -> None:
    """Every writer and every view takes it."""
    item = items.run_item(run)
    assert items.size_of(item) > 0
    json.dumps(item).encode()
    assert items.read_run(item) == run
    ready = Ready.of(run)
    assert items.read_ready(items.ready_item("p", ready, NOW)) == ready
    names = slot_name(run.concurrency_key), slot_name(run.deployment)
    holder = Holder(run.uuid, run.next_attempt, run.queue, NOW, *names)
    ledger = Ledger("p", 1, (holder,))
    assert items.read_ledger("p", items.ledger_item(ledger)) == ledger
    json.dumps(run_view(run, None), allow_nan=False).encode()
    json.dumps(notification_of(Change("p", None, run)), allow_nan=False).encode()


@settings(max_examples=600)
@given(run_items())
def test_a_run_is_sound_or_ends_with_a_reason(item: dict[str, Any]) -> None:
    run = items.read_run(item)
    if not run.unreadable:
        is_taken(run)
        return
    json.dumps(run_view(run, None), allow_nan=False).encode()
    ended = end_malformed(run, NOW)
    is_taken(ended)
    assert ended.rev == run.rev + 1
    assert ended.state.ended or ended.state is RunState.CANCELLING
    if ended.state is RunState.CANCELLING:
        assert ended.current is not None, "somebody can say when it has ended"
    image = {"Keys": {"PK": item["PK"], "SK": item["SK"]}, "OldImage": item}
    change_of(image | {"NewImage": items.run_item(ended)})


CONFIGURATION = st.dictionaries(
    st.sampled_from([*Pool.__dataclass_fields__, "of_a_newer_version"]),
    PLAIN
    | st.lists(
        st.dictionaries(
            st.sampled_from([*Queue.__dataclass_fields__, "of_a_newer_version"]), PLAIN, max_size=4
        )
        | PLAIN,
        max_size=3,
    )
    | st.dictionaries(st.sampled_from(["starts", "period_seconds", "d"]), PLAIN, max_size=2),
    max_size=4,
)


@settings(max_examples=600)
@given(CONFIGURATION, st.booleans())
def test_a_pool_is_sound_or_unreadable(document: dict[str, Any], typed: bool) -> None:
    document = document | {"type": "process"} if typed else document
    item: dict[str, Any] = {
        "PK": {"S": keys.pool("p")},
        "SK": {"S": keys.CONFIG},
        "document": {"S": json.dumps(document)},
    }
    try:
        pool = items.read_pool(item)
    except Unreadable:
        return
    assert items.read_pool(items.pool_item(pool)) == pool
    json.dumps(pool_view(pool, Ledger("p")), allow_nan=False).encode()


@pytest.mark.parametrize("document", ["{", "null", "[]", "5", '{"type": "process", "limit": "4"}'])
def test_a_configuration_that_is_none_is_unreadable(document: str) -> None:
    with pytest.raises(Unreadable, match="pool 'p' in the table is malformed"):
        items.read_pool({"PK": {"S": keys.pool("p")}, "document": {"S": document}})


READY = Ready.of(items.read_run(sound()))
HELD = Holder(ID, 1, "default", NOW, "key", "deployment")
#: How each of the other items is written, read and written again, and what its reader may raise.
#: Who reads places, deployments and marks skips the malformed one, and starts from nothing.
KINDS: dict[str, tuple[dict[str, Any], Callable[[Any], Any], tuple[type[Exception], ...]]] = {
    "ledger": (
        items.ledger_item(Ledger("p", 3, (HELD,), starts={"": ((NOW, 2),)}, paced=NOW)),
        lambda item: items.ledger_item(items.read_ledger("p", item)),
        (Unreadable,),
    ),
    "place": (
        items.ready_item("p", READY, NOW),
        lambda item: items.ready_item("p", items.read_ready(item), NOW),
        (ValueError, KeyError, TypeError),
    ),
    "circuit": (
        items.circuit_item(Circuit(failures=2, failed_at=NOW, reason="throttled")),
        lambda item: items.circuit_item(items.read_circuit(item)),
        (),
    ),
}


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.tuples(st.integers(0, 20), ATTRIBUTES), max_size=3),
    st.booleans(),
)
def test_any_other_item_is_sound_or_refused(
    kind: str, changes: list[tuple[int, dict[str, Any]]], without: bool
) -> None:
    written, again, raises = KINDS[kind]
    item, names = dict(written), [*written, "of_a_newer_version"]
    for place, value in changes:
        item[names[place % len(names)]] = value
    if without and changes:
        item.pop(names[changes[0][0] % len(names)], None)
    with bounded():
        try:
            written_again = again(item)
        except raises:
            return
        json.dumps(written_again, default=repr).encode()
        assert items.size_of(written_again) > 0


def test_fields_of_a_newer_version_are_dropped() -> None:
    """A version that added fields was rolled back."""
    item = sound()
    attempts = json.loads(item["attempts"]["S"])
    attempts[0]["shiny"] = 1
    item |= {"attempts": {"S": json.dumps(attempts)}, "shiny": {"N": "1"}}
    assert items.read_run(item) == items.read_run(sound())
    document = '{"type":"process","shiny":1,"queues":[{"name":"q","priority":1,"shiny":1}]}'
    pool = items.read_pool({"PK": {"S": keys.pool("p")}, "document": {"S": document}})
    assert [queue.name for queue in pool.queues] == ["q", "default"]


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
