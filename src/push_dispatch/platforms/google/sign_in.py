"""Who are we to Google Cloud? A role of AWS that a workload identity pool trusts, or a key.

    PUSH_DISPATCH_GOOGLE_AUDIENCE   federation: the resource name of the pool's OIDC provider,
                                    //iam.googleapis.com/projects/NUMBER/locations/global/
                                    workloadIdentityPools/POOL/providers/PROVIDER
    PUSH_DISPATCH_GOOGLE_SERVICE_ACCOUNT  with it: the service account to act as; without, the
                                    pool's principal itself has the permissions
    PUSH_DISPATCH_GOOGLE_KEY_NAME   else: the name of a service account key in the secret store
    GOOGLE_APPLICATION_CREDENTIALS  else: a file with a key, or with what a person has signed in
                                    with, for the local runtime
    PUSH_DISPATCH_GOOGLE_STS_ENDPOINT     replaces sts.googleapis.com and
                                    iamcredentials.googleapis.com

The provider's issuer is the AWS account's issuer URL; its audience is left at the default.
Source: https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from push_dispatch.core.errors import PlatformError, Rejected, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.shared import no_credentials, secret_named
from push_dispatch.platforms.web_identity import web_identity_token
from push_dispatch.ports.secrets import Secrets

__all__ = ["SignIn"]

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105 - the kind of a token
_SECONDS = 5
#: What is refused for good, https://www.rfc-editor.org/rfc/rfc6749#section-5.2 and, for a token
#: exchange, https://www.rfc-editor.org/rfc/rfc8693#section-2.2.2.
_REFUSED = re.compile(r"\b(invalid_\w+|unauthorized_client|unsupported_grant_type)\b")


class SignIn:
    """Access tokens of Google Cloud, renewed when they are about to expire."""

    def __init__(self, environ: Mapping[str, str], secrets: Secrets) -> None:
        self._environ = environ
        self._secrets = secrets
        self._credentials: Any = None
        self._lock = Lock()

    @property
    def configured(self) -> bool:
        """Whether the environment says who we are."""
        return any(self._environ.get(name) for name in _NAMES)

    def token(self) -> str:
        """An access token that is still good for some minutes.

        Raises Rejected (`credentials_missing`, `secret_unavailable`, `access_denied`), Throttled or
        Uncertain (`platform_unavailable`).
        """
        with self._lock:
            if self._credentials is None:
                self._credentials = _credentials(self._environ, self._secrets)
            if not self._credentials.valid:
                _refresh(self._credentials)
            return str(self._credentials.token)

    def forget(self) -> None:
        """The token was refused: the next one is a new one."""
        with self._lock:
            self._credentials = None

    def anew(self) -> str:
        """As whom one signs in; asks for a token, whatever was remembered. Raises as `token`."""
        fresh = SignIn(self._environ, self._secrets)
        fresh.token()
        return fresh._whom()

    def _whom(self) -> str:
        audience, key_name, file = (self._environ.get(name) for name in _NAMES)
        account = self._environ.get("PUSH_DISPATCH_GOOGLE_SERVICE_ACCOUNT")
        if audience:
            pool = audience.removeprefix("//iam.googleapis.com/")
            return f"the service account {account} by way of {pool}" if account else pool
        email = getattr(self._credentials, "service_account_email", None)
        where = f"the key in the secret {key_name}" if key_name else file
        return f"the service account {email} ({where})" if email else f"a person ({where})"


_NAMES = (
    "PUSH_DISPATCH_GOOGLE_AUDIENCE",
    "PUSH_DISPATCH_GOOGLE_KEY_NAME",
    "GOOGLE_APPLICATION_CREDENTIALS",
)


def _credentials(environ: Mapping[str, str], secrets: Secrets) -> Any:
    audience, key_name, file = (environ.get(name) for name in _NAMES)
    if audience:
        return _federated(environ, audience)
    if key_name:
        return _from_key(secret_named(secrets, environ, _NAMES[1]), f"the secret {key_name!r}")
    if file:
        return _from_file(file)
    raise no_credentials(
        f"nothing says who this function is in Google Cloud: set {_NAMES[0]}, or {_NAMES[1]}"
    )


def _federated(environ: Mapping[str, str], audience: str) -> Any:
    from google.auth import identity_pool  # noqa: PLC0415 - 100 ms

    class Supplier(identity_pool.SubjectTokenSupplier):
        """Asked by google-auth each time that it needs a new access token, once an hour."""

        def get_subject_token(self, context: Any, request: Any) -> str:  # noqa: ARG002
            return web_identity_token(environ, f"https:{audience}")

    endpoint = environ.get("PUSH_DISPATCH_GOOGLE_STS_ENDPOINT", "").rstrip("/")
    account = environ.get("PUSH_DISPATCH_GOOGLE_SERVICE_ACCOUNT")
    impersonation = f"{endpoint or 'https://iamcredentials.googleapis.com'}/v1/projects/-"
    federated: Any = identity_pool.Credentials  # its constructor has no types
    return federated(
        audience=audience,
        subject_token_type=_TOKEN_TYPE,
        token_url=f"{endpoint or 'https://sts.googleapis.com'}/v1/token",
        subject_token_supplier=Supplier(),
        service_account_impersonation_url=(
            f"{impersonation}/serviceAccounts/{account}:generateAccessToken" if account else None
        ),
        scopes=[_SCOPE],
    )


def _from_file(path: str) -> Any:
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        message = f"GOOGLE_APPLICATION_CREDENTIALS: {error}"
        raise no_credentials(message) from error
    return _from_key(text, f"GOOGLE_APPLICATION_CREDENTIALS: {path}")


def _from_key(text: str, where: str) -> Any:
    """Of a service account; or of a person, as `gcloud auth application-default login` makes it."""
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.oauth2 import service_account  # noqa: PLC0415

    # The constructor has no types.
    of_account: Any = service_account.Credentials.from_service_account_info
    try:
        key = json.loads(text)
        if key.get("type") == "authorized_user":
            return _of_person(key)
        return of_account(key, scopes=[_SCOPE])
    except (ValueError, TypeError, AttributeError, GoogleAuthError):
        # Not the library's own words: they may quote the key.
        raise no_credentials(
            f"{where} is no service account key: it must be the JSON file as Google makes it"
        ) from None


def _of_person(key: Mapping[str, str]) -> Any:
    from google.oauth2 import credentials  # noqa: PLC0415

    person: Any = credentials.Credentials  # its constructor has no types
    return person(
        None,
        refresh_token=key.get("refresh_token"),
        token_uri=key.get("token_uri") or "https://oauth2.googleapis.com/token",
        client_id=key.get("client_id"),
        client_secret=key.get("client_secret"),
    )


def _refresh(credentials: Any) -> None:
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.auth.transport.requests import Request  # noqa: PLC0415

    try:
        # The library's own timeout is two minutes.
        credentials.refresh(partial(Request(), timeout=_SECONDS))
    except GoogleAuthError as error:
        raise _not_signed_in(error) from error


def _not_signed_in(error: Any) -> PlatformError:
    """The library says itself what may succeed later: no answer, a 5xx, a 429."""
    from google.auth.exceptions import OAuthError, RefreshError  # noqa: PLC0415

    text = str(error.args[0] if error.args else error)
    # A token exchange that is refused is not said to be final: its code tells.
    refused = isinstance(error, OAuthError) and _REFUSED.search(text)
    if not refused and (not isinstance(error, RefreshError) or error.retryable):
        return Uncertain(f"no access token from Google: {text}", reason=Reason.PLATFORM_UNAVAILABLE)
    remedy = (
        "Check the audience, the provider's conditions and, if one is named, that the pool's "
        "principal has roles/iam.workloadIdentityUser on the service account."
    )
    return Rejected(f"Google issues no access token: {text}. {remedy}", reason=Reason.ACCESS_DENIED)
