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

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from push_dispatch.platforms.shared import no_credentials, secret_named
from push_dispatch.platforms.web_identity import web_identity_token
from push_dispatch.ports.secrets import Secrets

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["AUDIENCE", "credential_from", "whom"]

AUDIENCE = "api://AzureADTokenExchange"


def credential_from(
    environ: Mapping[str, str], secrets: Secrets, **options: Any
) -> TokenCredential:
    """The credential that the environment asks for; `options` are those of azure-identity.

    Raises Rejected (`credentials_missing`, `secret_unavailable`).
    """
    from azure.identity import (  # noqa: PLC0415 - 100 ms, and the cost estimate needs none
        ClientAssertionCredential,
        ClientSecretCredential,
    )

    tenant, client = (_named(environ, f"AZURE_{name}_ID") for name in ("TENANT", "CLIENT"))
    secret = _secret(environ, secrets)
    if secret is not None:
        return ClientSecretCredential(tenant, client, secret, **options)
    # Asked for by azure-identity each time that it needs a new token, once an hour.
    assertion = partial(web_identity_token, environ, AUDIENCE)
    return ClientAssertionCredential(tenant, client, assertion, **options)


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
        raise no_credentials(
            f"{name} is not set: it says which application this function is in Microsoft Entra"
        )
    return environ[name]


def _secret(environ: Mapping[str, str], secrets: Secrets) -> str | None:
    if not environ.get("AZURE_CLIENT_SECRET_NAME"):
        return environ.get("AZURE_CLIENT_SECRET") or None
    return secret_named(secrets, environ, "AZURE_CLIENT_SECRET_NAME")
