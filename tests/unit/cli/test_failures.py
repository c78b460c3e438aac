"""Is each exception one failure with a code, a reason and a remedy, and none a traceback?"""

from __future__ import annotations

import errno

import pytest

from push_dispatch.cli.failures import Failure, failure_of, print_failure
from push_dispatch.core.errors import (
    Conflict,
    Invalid,
    Misconfigured,
    NotFound,
    PushDispatchError,
    Refused,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Invalid("x"), 2, "invalid_input"),
        (Invalid("x", reason="invalid_limit"), 2, "invalid_limit"),
        (Invalid("x", reason="invalid_variables"), 1, "invalid_variables"),
        (NotFound("x", reason="pool_not_found"), 1, "pool_not_found"),
        (Refused("x", reason="pool_exists"), 1, "pool_exists"),
        (Conflict("x"), 1, "conflict"),
        (Unavailable("x"), 1, "backend_unavailable"),
        (Misconfigured("x"), 1, "access_denied"),
    ],
)
def test_an_error_of_ours_keeps_its_message_and_reason(
    error: PushDispatchError, code: int, reason: str
) -> None:
    assert failure_of(error) == Failure("x", reason, code)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (KeyboardInterrupt(), Failure("interrupted", "", 130)),
        (BrokenPipeError(), Failure("", "", 141)),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            Failure("standard output: No space left on device", ""),
        ),
    ],
    ids=["interrupt", "pipe", "full"],
)
def test_what_is_nobodys_fault(error: BaseException, failure: Failure) -> None:
    assert failure_of(error) == failure


def test_a_library_that_is_missing_is_named_however_deep_it_was() -> None:
    missing = ModuleNotFoundError("No module named 'docker'", name="docker")
    outer = RuntimeError("while loading")
    outer.__cause__ = missing
    for error in (missing, outer):
        failure = failure_of(error)
        assert "needs docker" in failure.message
        assert failure.remedy.startswith("pip install")
    ours = ModuleNotFoundError("No module named 'push_dispatch.x'", name="push_dispatch.x")
    assert failure_of(ours).reason == "internal_error"


def test_a_bug_of_ours_says_how_to_see_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSH_DISPATCH_DEBUG", raising=False)
    failure = failure_of(ZeroDivisionError("division by zero"))
    assert failure.message == "ZeroDivisionError: division by zero"
    assert (failure.reason, failure.code) == ("internal_error", 1)
    assert "PUSH_DISPATCH_DEBUG=1" in failure.remedy
    monkeypatch.setenv("PUSH_DISPATCH_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        failure_of(ZeroDivisionError("division by zero"))


def test_the_first_line_has_the_reason_and_the_last_the_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert print_failure(Failure("two things\n- one\n- two", "pool_not_found", 1)) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: two things [pool_not_found]",
        "  - one",
        "  - two",
        "→ push-dispatch pool ls",
    ]
    assert print_failure(Failure("", "", 141)) == 141
    assert capsys.readouterr().err == ""
