"""How does this function prove to another cloud which AWS role it has? By a token of AWS STS.

Needs `sts:GetWebIdentityToken`, and once per account `iam:EnableOutboundWebIdentityFederation`.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound.html
"""

from __future__ import annotations

from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.platforms.aws import answer_of, client_of, region_in, session_of
from push_dispatch.platforms.refusals import Refusals, rows

__all__ = ["web_identity_token"]

#: The token is used at once; STS issues none that lives shorter than a minute.
_SECONDS = 300
REFUSALS = Refusals(rows(__name__, "web_identity"), answer_of, clean=str)


def web_identity_token(environ: Mapping[str, str], audience: str) -> str:
    """Return a signed token for `audience` that names the role in `environ`.

    Raises Throttled, Uncertain (`platform_unavailable`) or Rejected (`access_denied`).
    """
    # The regional endpoint: the global one does not issue such tokens.
    sts = client_of(session_of(environ), "sts", region_in(environ), environ=environ, read_seconds=5)
    with REFUSALS.translated((ClientError, BotoCoreError), "AWS STS: "):
        reply = sts.get_web_identity_token(
            Audience=[audience], SigningAlgorithm="RS256", DurationSeconds=_SECONDS
        )
    return str(reply["WebIdentityToken"])
