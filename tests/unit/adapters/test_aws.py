"""Does an error of AWS say what to do next: correct the input, or the rights, or try later?"""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as sdk

from push_dispatch.adapters.aws import error_for, translated
from push_dispatch.adapters.sqs import SqsMessages
from push_dispatch.api.v1.http import problem_of
from push_dispatch.cli.failures import failure_of
from push_dispatch.core.errors import Invalid, Misconfigured, PushDispatchError, Unavailable
from push_dispatch.core.reasons import REASONS
from push_dispatch.ports.messages import Wake


def answer(code: str, message: str = "no") -> sdk.ClientError:
    return sdk.ClientError({"Error": {"Code": code, "Message": message}}, "PutItem")


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (answer("AccessDeniedException"), Misconfigured, "access_denied"),
        (answer("AccessDenied"), Misconfigured, "access_denied"),
        (answer("KMS.AccessDeniedException"), Misconfigured, "access_denied"),
        (answer("KMSAccessDeniedException"), Misconfigured, "access_denied"),
        (answer("ExpiredTokenException"), Misconfigured, "access_denied"),
        (answer("UnrecognizedClientException"), Misconfigured, "access_denied"),
        (answer("InvalidSignatureException"), Misconfigured, "access_denied"),
        (answer("ResourceNotFoundException"), Misconfigured, "no_backend"),
        (answer("AWS.SimpleQueueService.NonExistentQueue"), Misconfigured, "no_backend"),
        (answer("QueueDoesNotExist"), Misconfigured, "no_backend"),
        (sdk.NoCredentialsError(), Misconfigured, "access_denied"),
        (sdk.NoRegionError(), Misconfigured, "access_denied"),
        (answer("ValidationException"), Invalid, "invalid_input"),
        (
            answer("ValidationException", "Item size has exceeded the maximum allowed size"),
            Invalid,
            "run_too_large",
        ),
        (answer("ProvisionedThroughputExceededException"), Unavailable, "backend_unavailable"),
        (answer("ThrottlingException"), Unavailable, "backend_unavailable"),
        (answer("InternalServerError"), Unavailable, "backend_unavailable"),
        (answer(""), Unavailable, "backend_unavailable"),
        (sdk.ReadTimeoutError(endpoint_url="x"), Unavailable, "backend_unavailable"),
        (sdk.EndpointConnectionError(endpoint_url="x"), Unavailable, "backend_unavailable"),
    ],
    ids=str,
)
def test_the_class_says_what_to_do_next(
    error: sdk.ClientError, kind: type[PushDispatchError], reason: str
) -> None:
    with pytest.raises(PushDispatchError) as caught, translated("the table pools"):
        raise error
    assert type(caught.value) is kind
    assert caught.value.reason == reason
    assert reason in REASONS
    assert "table" in caught.value.message
    assert caught.value.__cause__ is error


def test_what_no_sdk_has_raised_passes() -> None:
    with pytest.raises(KeyError), translated("the table pools"):
        raise KeyError("mine")


def test_people_read_what_is_missing_and_what_to_type() -> None:
    absent = failure_of(error_for(answer("ResourceNotFoundException"), "the table pools"))
    assert absent.message == "the table pools does not exist in this account and region"
    assert (absent.reason, absent.code) == ("no_backend", 1)
    assert "PUSH_DISPATCH_TABLE" in REASONS[absent.reason].remedy
    unsigned = failure_of(sdk.NoCredentialsError())
    assert unsigned.message.endswith("sign in to AWS, or choose another profile or region")
    assert unsigned.reason == "access_denied"


def test_clients_of_the_api_try_again_only_what_may_succeed() -> None:
    denied, busy = (
        problem_of(error_for(answer(code), "the table pools"))
        for code in ("AccessDeniedException", "ThrottlingException")
    )
    assert (denied.status, "Retry-After" in denied.headers) == (500, False)
    assert (busy.status, "Retry-After" in busy.headers) == (503, True)


class Refusing:
    """SQS that answers each request with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def send_message_batch(self, **_: object) -> object:
        raise self._error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", Misconfigured),
        ("AccessDenied", Misconfigured),
        ("RequestThrottled", Unavailable),
    ],
)
def test_a_queue_that_is_gone_is_not_one_that_is_busy(
    code: str, kind: type[PushDispatchError]
) -> None:
    client: Any = Refusing(answer(code))
    with pytest.raises(kind, match="https://sqs/wake"):
        SqsMessages(lambda: client, {}, "https://sqs/wake").wake([Wake("p")])
