"""Is it told whether credentials are good, whatever the platform makes of the question?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.core.errors import (
    Invalid,
    PushDispatchError,
    Rejected,
    Throttled,
    Unavailable,
    Uncertain,
)
from push_dispatch.core.reasons import REASONS
from push_dispatch.engine.sign_in import SignedIn, sign_in
from push_dispatch.handlers import push
from push_dispatch.platforms.registry import load
from push_dispatch.ports import Ports
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore


class Asked:
    """A platform that says, or raises, what it is told to."""

    def __init__(self, says: str | Exception) -> None:
        self.says = says

    def sign_in(self) -> str:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def ports(platform: Callable[[str], Any]) -> Ports:
    return Ports(
        store=MemoryStore(),
        messages=MemoryMessages(),
        clock=lambda: 0,
        new_id=lambda: "",
        platform=platform,
        secrets=secrets_from({}),
    )


def asking(says: str | Exception) -> SignedIn:
    return sign_in(ports(lambda name: Asked(says)), "ecs")


def test_good_credentials_say_as_whom() -> None:
    assert asking("as somebody") == SignedIn("ecs", ok=True, message="as somebody", reason=None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Rejected("no token", reason="credentials_missing"), "credentials_missing"),
        (Throttled("slowly"), "platform_throttled"),
        (Uncertain("no connection", reason="platform_unavailable"), "platform_unavailable"),
        (Uncertain("no answer"), "platform_unavailable"),
        (Unavailable("the secret store is busy"), "backend_unavailable"),
        (Invalid("PUSH_DISPATCH_SECRETS is odd"), "invalid_input"),
    ],
)
def test_a_refusal_keeps_its_words_and_its_reason(error: PushDispatchError, reason: str) -> None:
    assert asking(error) == SignedIn("ecs", ok=False, message=error.message, reason=reason)
    assert reason in REASONS


def test_what_nobody_expects_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    reported = asking(ZeroDivisionError("division by zero"))
    expected = "ZeroDivisionError: division by zero"
    assert reported == SignedIn("ecs", ok=False, message=expected, reason="internal_error")
    assert "Traceback" in caplog.text


def test_one_that_cannot_be_asked_is_neither_good_nor_bad() -> None:
    reported = sign_in(ports(lambda name: object()), "process")
    assert (reported.ok, reported.reason) == (None, None)
    assert "process cannot be checked" in reported.message


def test_one_that_does_not_exist_is_not_good() -> None:
    reported = sign_in(ports(lambda name: load(name, {})), "esc")
    assert (reported.ok, reported.reason) == (False, "unknown_type")
    assert "did you mean 'ecs'?" in reported.message


def test_the_handler_answers_for_each_and_the_next_is_asked_all_the_same() -> None:
    says = {"ecs": Asked(Rejected("no", reason="access_denied")), "modal": Asked("as runner")}
    reported = push.handle(
        ports(lambda name: says.get(name)), {"sign_in": ["ecs", "modal", "other"]}
    )
    assert json.loads(json.dumps(reported)) == {
        "ecs": {"ok": False, "message": "no", "reason": "access_denied"},
        "modal": {"ok": True, "message": "as runner", "reason": None},
        "other": {"ok": None, "message": reported["other"]["message"], "reason": None},
    }


@pytest.mark.parametrize("given", ["ecs", [1], None, {"ecs": True}])
def test_the_handler_takes_a_list_of_names_only(given: object) -> None:
    with pytest.raises(Invalid, match="must be a list of platforms"):
        push.handle(ports(lambda name: Asked("never")), {"sign_in": given})
