"""How do the adapters reach AWS, and what does an error mean to the caller?

The class of the error says what to do next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore import exceptions as sdk

from push_dispatch.core.errors import Invalid, Misconfigured, PushDispatchError, Unavailable
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["client", "error_for", "session", "translated"]

#: Codes that the same request meets again until a right is granted, or the sign-in changes.
_DENIED = (
    "accessdenied",
    "expiredtoken",
    "incompletesignature",
    "invalidclienttokenid",
    "invalidsignature",
    "kmsaccessdenied",
    "missingauthenticationtoken",
    "optinrequired",
    "signaturedoesnotmatch",
    "unrecognizedclient",
)
_ABSENT = ("resourcenotfound", "queuedoesnotexist", "nonexistentqueue")
#: What the SDK raises before it sends anything.
_UNSENT = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.NoRegionError,
    sdk.ProfileNotFound,
    sdk.SSOError,
    sdk.TokenRetrievalError,
)
_LOCK = Lock()


@cache
def session() -> Session:
    """The identity of this process. Without boto3, which takes a tenth of a function's start for
    what no function uses: resources, and transfers to S3."""
    from botocore.session import get_session  # noqa: PLC0415 - a local runtime has no use for it

    return get_session()


def client(service: str, **options: Any) -> Any:
    """Make a client of this process, with the options of `boto3.client`."""
    with _LOCK:  # A session makes clients for one thread at a time.
        return session().create_client(service, **options)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise Misconfigured, Invalid or Unavailable instead of what the SDK raises.

    `what` names the table, queue or service for people.
    """
    try:
        yield
    except (sdk.ClientError, sdk.BotoCoreError) as error:
        raise error_for(error, what) from error


def error_for(error: sdk.ClientError | sdk.BotoCoreError, what: str) -> PushDispatchError:
    """Return the error of ours that says what to do next."""
    message = f"{what}: {error}"
    if isinstance(error, _UNSENT):
        return Misconfigured(f"{message}: sign in to AWS, or choose another profile or region")
    if not isinstance(error, sdk.ClientError):
        return Unavailable(message)
    # Some services put their own name before the code: AWS.SimpleQueueService.NonExistentQueue.
    code = str(error.response["Error"].get("Code", "")).rpartition(".")[2].lower()
    if code.startswith(_DENIED):
        return Misconfigured(message)
    if code.startswith(_ABSENT):
        absent = f"{what} does not exist in this account and region"
        return Misconfigured(absent, reason=Reason.NO_BACKEND)
    if "Item size has exceeded the maximum allowed size" in str(error):
        return Invalid(f"too large for the table: {error}", reason=Reason.RUN_TOO_LARGE)
    if code.startswith("validation"):
        return Invalid(message)
    return Unavailable(message)
