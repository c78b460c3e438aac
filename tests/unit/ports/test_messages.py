"""Do messages survive their way, and the deployment of another version?"""

from __future__ import annotations

import json

import pytest

from push_dispatch.core.model import Slot
from push_dispatch.ports.messages import Poll, Push, StopAttempt, Wake, Watch, decode, encode

MESSAGES: list[Push | StopAttempt | Poll | Wake] = [
    Push("p.u", 1, "ecs", "t", claim="c", fallback=1, gated=True, tries=3, uncertain=True),
    StopAttempt("p.u", 1),
    Poll("ecs", (Watch("h", "p.u", 1), Watch("i", "p.v", 2))),
    Poll("ecs", (), pool="p", at=1_800_000_000_000),
    Wake("p", (Slot("u", 1),)),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_what_arrives_is_what_was_sent(message: Push | StopAttempt | Poll | Wake) -> None:
    assert decode(encode(message)) == message


def test_a_field_of_another_version_is_no_reason_to_lose_a_message() -> None:
    document = json.loads(encode(MESSAGES[0]))
    assert decode(json.dumps(document | {"colour": "blue"})) == MESSAGES[0]
    for name in ("gated", "tries", "uncertain", "fallback", "claim"):
        del document[name]
    assert decode(json.dumps(document)) == Push("p.u", 1, "ecs", "t")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"verb": "dance"}', '{"verb": "push"}'])
def test_what_is_no_message_is_refused(body: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        decode(body)
