"""How does this function prove to another cloud which AWS role it has? By a token of AWS STS.

Needs `sts:GetWebIdentityToken`, and once per account `iam:EnableOutboundWebIdentityFederation`.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound.html
"""

from __future__ import annotations

from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.core.errors import PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.aws import client_of, code_of, region_in, session_of

__all__ = ["web_identity_token"]

#: The token is used at once; STS issues none that lives shorter than a minute.
_SECONDS = 300


def web_identity_token(
    environ: Mapping[str, str], audience: str, instead: str = "give the function a key instead"
) -> str:
    """Return a signed token for `audience` that names the role in `environ`; `instead` is what a
    person can do who has no such tokens.

    Raises Throttled, Uncertain (`platform_unavailable`) or Rejected (`access_denied`).
    """
    # The regional endpoint: the global one does not issue such tokens.
    sts = client_of(session_of(environ), "sts", region_in(environ), environ=environ, read_seconds=5)
    try:
        reply = sts.get_web_identity_token(
            Audience=[audience], SigningAlgorithm="RS256", DurationSeconds=_SECONDS
        )
    except (ClientError, BotoCoreError) as error:
        raise _not_issued(error, instead) from error
    return str(reply["WebIdentityToken"])


def _not_issued(error: ClientError | BotoCoreError, instead: str) -> PlatformError:
    if not isinstance(error, ClientError):
        return Uncertain(f"AWS STS: {error}", reason=Reason.PLATFORM_UNAVAILABLE)
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or "Throttl" in code:
        return Throttled(f"AWS STS: {error}", reason=Reason.PLATFORM_THROTTLED)
    if code.startswith("OutboundWebIdentityFederationDisabled"):
        remedy = "run aws iam enable-outbound-web-identity-federation once per account"
    else:
        remedy = f"grant sts:GetWebIdentityToken, or {instead}"
    return Rejected(f"AWS STS issues no token: {error}; {remedy}", reason=Reason.ACCESS_DENIED)
