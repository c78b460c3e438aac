"""Does a function return what it cannot do in time, and does a slow receiver delay only itself?"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import EnvSecrets
from push_dispatch.adapters.webhooks import Webhook, Webhooks
from push_dispatch.core.errors import Unavailable
from push_dispatch.core.model import RunState
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit, submit_many
from push_dispatch.handlers import dispatch as dispatching
from push_dispatch.handlers.push import RESERVE_MS, handle as handle_push
from push_dispatch.handlers.webhook import handle as handle_webhook
from push_dispatch.ports.messages import encode
from tests.fakes.world import POOL, World


def failed(answer: dict[str, Any]) -> list[str]:
    return [entry["itemIdentifier"] for entry in answer["batchItemFailures"]]


# -- pushes ---------------------------------------------------------------------------------------


def orders(world: World) -> dict[str, Any]:
    submit_many(world.ports, [Request(POOL)] * 3)
    world.deliver_changes(10)
    return {
        "Records": [
            {
                "messageId": str(number),
                "body": encode(delivery.message),
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for number, delivery in enumerate(world.mail.waiting)
        ]
    }


def test_a_push_function_returns_what_it_has_no_time_for() -> None:
    world = World()
    event = orders(world)
    left = iter([RESERVE_MS, RESERVE_MS - 1])
    assert failed(handle_push(world.ports, event, lambda: next(left))) == ["2"]
    assert len(world.platform.live()) == 2
    assert failed(handle_push(world.ports, event, lambda: RESERVE_MS)) == []
    assert len(world.platform.live()) == 3


def test_the_first_message_is_always_tried() -> None:
    world = World()
    assert failed(handle_push(world.ports, orders(world), lambda: 0)) == ["1", "2"]


# -- webhooks -------------------------------------------------------------------------------------


class Receivers:
    """Webhooks, and the servers behind them, whose answers the test decides."""

    def __init__(self, answers: dict[str, Callable[[str], bool]], pools: dict[str, str]) -> None:
        hooks = [Webhook(u, "s", (pools[u],) if u in pools else ()) for u in answers]
        secrets = EnvSecrets({"webhooks/s": "hunter2"}, prefix="")
        self.webhooks = Webhooks(hooks, secrets, lambda: 0, http=self)
        self.answers = answers
        self.got: list[tuple[str, str]] = []

    def request(self, _method: str, url: str, body: bytes, **_: Any) -> SimpleNamespace:
        number = json.loads(body)["id"]
        taken = self.answers[url](number)
        self.got.append((url, number))
        return SimpleNamespace(status=204 if taken else 503)


def changes(*ids: str, pool: str = "p") -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": i, "body": json.dumps({"detail": {"id": i, "pool": pool}})} for i in ids
        ]
    }


def enough() -> int:
    return 30_000


def test_a_webhook_that_hangs_delays_no_other() -> None:
    """The slow one answers only when the quick one has got everything."""
    quick_is_done = threading.Event()

    def quick(number: str) -> bool:
        if number == "3":
            quick_is_done.set()
        return True

    def slow(number: str) -> bool:
        return quick_is_done.wait(30)

    receivers = Receivers({"slow": slow, "quick": quick}, {})
    assert failed(handle_webhook(receivers.webhooks, changes("1", "2", "3"), enough)) == []
    assert receivers.got[:3] == [("quick", "1"), ("quick", "2"), ("quick", "3")]


def test_what_one_webhook_does_not_take_comes_again_for_it() -> None:
    receivers = Receivers({"well": lambda _: True, "ill": lambda n: n != "2"}, {})
    assert failed(handle_webhook(receivers.webhooks, changes("1", "2", "3"), enough)) == ["2", "3"]
    assert ("well", "3") in receivers.got


def test_a_webhook_of_another_pool_fails_nothing_of_this_one() -> None:
    receivers = Receivers({"ill": lambda _: False, "well": lambda _: True}, {"ill": "other"})
    assert failed(handle_webhook(receivers.webhooks, changes("1"), enough)) == []
    assert failed(handle_webhook(receivers.webhooks, changes("1", pool="other"), enough)) == ["1"]


def test_posts_end_in_time() -> None:
    receivers = Receivers({"slow": lambda _: True}, {})
    times = iter([30_000, 7_999])
    assert failed(
        handle_webhook(receivers.webhooks, changes("1", "2", "3"), lambda: next(times))
    ) == [
        "2",
        "3",
    ]


def test_a_message_that_is_none_fails_nobody() -> None:
    receivers = Receivers({"well": lambda _: True}, {})
    event = changes("1")
    event["Records"].insert(0, {"messageId": "0", "body": "{}"})
    assert failed(handle_webhook(receivers.webhooks, event, enough)) == []
    assert receivers.got == [("well", "1")]


def test_a_secret_that_is_gone_or_unusable_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    receivers = Receivers({"well": lambda _: True}, {})
    hooks = [Webhook("ill", "gone"), Webhook("ill", "unusable"), Webhook("well", "s")]
    secrets = EnvSecrets({"webhooks/s": "hunter2", "webhooks/unusable": "whsec_!"}, prefix="")
    webhooks = replace(receivers.webhooks, hooks=hooks, secrets=secrets)
    assert failed(handle_webhook(webhooks, changes("1"), enough)) == []
    assert receivers.got == [("well", "1")]
    assert "create the environment variable webhooks/gone" in caplog.text


# -- changes that dispatch failed to handle -------------------------------------------------------

NOTE = {
    "requestContext": {"functionArn": "arn:aws:lambda:eu-west-1:1:function:dispatch"},
    "DDBStreamBatchInfo": {"shardId": "s", "startSequenceNumber": "7", "endSequenceNumber": "7"},
}


@pytest.fixture
def world() -> World:
    """A run whose change dispatch has failed to handle."""
    world = World()
    submit(world.ports, Request(POOL))
    return world


def noted(world: World, *others: str) -> dict[str, Any]:
    bodies = [json.dumps(NOTE), *others]
    return {
        "Records": [
            {"messageId": str(n), "body": body, "eventSource": "aws:sqs"}
            for n, body in enumerate(bodies)
        ]
    }


def reader(world: World) -> Callable[[Any], Iterator[dict[str, Any]]]:
    def read(batch: Any) -> Iterator[dict[str, Any]]:
        from push_dispatch.adapters.dynamodb.items import run_item

        assert batch == NOTE["DDBStreamBatchInfo"]
        [run] = world.runs()
        item = run_item(run)
        yield {
            "dynamodb": {
                "SequenceNumber": "7",
                "Keys": {"PK": item["PK"], "SK": item["SK"]},
                "NewImage": item,
            }
        }

    return read


def test_changes_that_were_given_up_come_again_by_the_wake_queue(world: World) -> None:
    assert failed(dispatching.handle(world.ports, noted(world), reader(world))) == []
    world.changes.clear()
    for delivery in world.due_messages():
        world.deliver_message(delivery)
    assert [run.state for run in world.runs()] == [RunState.PENDING]


def test_changes_that_cannot_be_read_now_come_again_alone(world: World) -> None:
    def trimmed(batch: Any) -> Iterator[dict[str, Any]]:
        raise Unavailable("older than 24 hours")

    wake = json.dumps({"verb": "wake", "pool": POOL})
    assert failed(dispatching.handle(world.ports, noted(world, wake), trimmed)) == ["0"]


def test_a_pool_that_fails_again_has_its_note_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise Unavailable("throttling")

    monkeypatch.setattr(dispatching, "dispatch", fail)
    assert failed(dispatching.handle(world.ports, noted(world), reader(world))) == ["0"]


def test_a_note_that_nobody_can_read_is_not_taken_for_done(world: World) -> None:
    assert failed(dispatching.handle(world.ports, noted(world))) == ["0"]
