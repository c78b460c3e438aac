"""Who are we to Azure? An application that trusts this function's AWS role, or has a secret.

    AZURE_TENANT_ID, AZURE_CLIENT_ID   the application (or user-assigned identity), always
    nothing else                       federation: AWS STS issues a token that says which role this
                                       function has, and Microsoft Entra takes it as the proof
    AZURE_CLIENT_SECRET_NAME           else: the name of a client secret in the secret store
    AZURE_CLIENT_SECRET                else: the client secret itself, for the local runtime

Federation needs `sts:GetWebIdentityToken` and, on the application, a federated credential: issuer
is the AWS account's issuer URL, subject the ARN of the role, audience api://AzureADTokenExchange.
Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.core.errors import PlatformError, Rejected, Throttled, Uncertain

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["AUDIENCE", "credential_from", "whom"]

AUDIENCE = "api://AzureADTokenExchange"
#: The assertion is used at once; STS issues none that lives shorter than a minute.
_ASSERTION_SECONDS = 300


def credential_from(environ: Mapping[str, str], **options: Any) -> TokenCredential:
    """The credential that the environment asks for; `options` are those of azure-identity.

    Raises Rejected (`credentials_missing`, `secret_unavailable`).
    """
    from azure.identity import (  # noqa: PLC0415 - 100 ms, and the cost estimate needs none
        ClientAssertionCredential,
        ClientSecretCredential,
    )

    tenant, client = (_named(environ, f"AZURE_{name}_ID") for name in ("TENANT", "CLIENT"))
    secret = _secret(environ)
    if secret is not None:
        return ClientSecretCredential(tenant, client, secret, **options)
    return ClientAssertionCredential(tenant, client, _assertion(environ), **options)


def whom(environ: Mapping[str, str]) -> str:
    """Who `credential_from` makes of us, for people."""
    application = f"{environ.get('AZURE_CLIENT_ID')} of the tenant {environ.get('AZURE_TENANT_ID')}"
    if name := environ.get("AZURE_CLIENT_SECRET_NAME"):
        return f"{application}, with the secret {name}"
    if environ.get("AZURE_CLIENT_SECRET"):
        return f"{application}, with AZURE_CLIENT_SECRET"
    return f"{application}, by this function's AWS role"


def _named(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise Rejected(
            f"{name} is not set: it says which application this function is in Microsoft Entra",
            reason="credentials_missing",
        )
    return environ[name]


def _secret(environ: Mapping[str, str]) -> str | None:
    name = environ.get("AZURE_CLIENT_SECRET_NAME")
    if not name:
        return environ.get("AZURE_CLIENT_SECRET") or None
    try:
        return secrets_from(environ).read(name)
    except KeyError as error:
        raise Rejected(
            f"AZURE_CLIENT_SECRET_NAME: secret {name!r} cannot be read", reason="secret_unavailable"
        ) from error


def _assertion(environ: Mapping[str, str]) -> Callable[[], str]:
    """Asked for by azure-identity each time that it needs a new token, once an hour."""

    def issue() -> str:
        try:
            reply = _sts(environ).get_web_identity_token(
                Audience=[AUDIENCE],
                SigningAlgorithm="RS256",
                DurationSeconds=_ASSERTION_SECONDS,
            )
        except (ClientError, BotoCoreError) as error:
            raise _not_issued(error) from error
        return str(reply["WebIdentityToken"])

    return issue


def _sts(environ: Mapping[str, str]) -> Any:
    """A client of the regional endpoint: the global one does not issue such tokens."""
    import boto3  # noqa: PLC0415 - not needed with a secret
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1}
    )
    session = boto3.session.Session(
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environ.get("AWS_SESSION_TOKEN"),
        region_name=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION"),
    )
    endpoint = environ.get("AWS_ENDPOINT_URL_STS") or environ.get("AWS_ENDPOINT_URL")
    return session.client("sts", endpoint_url=endpoint, config=config)


def _not_issued(error: ClientError | BotoCoreError) -> PlatformError:
    if not isinstance(error, ClientError):
        return Uncertain(f"AWS STS: {error}", reason="platform_unavailable")
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or "Throttl" in code:
        return Throttled(f"AWS STS: {error}", reason="platform_throttled")
    if code.startswith("OutboundWebIdentityFederationDisabled"):
        remedy = "run aws iam enable-outbound-web-identity-federation once per account"
    else:
        remedy = "grant sts:GetWebIdentityToken, or set AZURE_CLIENT_SECRET_NAME"
    return Rejected(f"AWS STS issues no token: {error}; {remedy}", reason="access_denied")
