"""How does one get into an Amazon EKS cluster with AWS credentials?

The token is a presigned STS GetCallerIdentity request that names the cluster in a signed header;
the cluster sends it to STS and learns who asks. An access entry of the cluster then says what that
role may do. https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from push_dispatch.platforms.aws import answer_of, client_of, session_of
from push_dispatch.platforms.refusals import Refusals, rows
from push_dispatch.platforms.shared import no_credentials

__all__ = ["cluster_of", "eks_token"]

#: How long the presigned request is good; the token itself lives longer.
_PRESIGNED_SECONDS = 60
REFUSALS = Refusals(rows(__name__, "eks"), answer_of, clean=str)


def cluster_of(environ: Mapping[str, str], region: str, name: str) -> tuple[str, str]:
    """The cluster's address and its certificate authority (PEM).

    Needs eks:DescribeCluster. Raises Rejected (`access_denied`, `credentials_missing`,
    `platform_rejected`), or Uncertain if AWS cannot be asked.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    with REFUSALS.translated((ClientError, BotoCoreError), f"eks:{region}:{name}: "):
        client = client_of(session_of(environ), "eks", region, environ=environ)
        found = client.describe_cluster(name=name)["cluster"]
    return found["endpoint"], base64.b64decode(found["certificateAuthority"]["data"]).decode()


def eks_token(environ: Mapping[str, str], region: str, cluster: str) -> str:
    """A bearer token for the cluster. Makes no request.

    Raises Rejected (`credentials_missing`) without AWS credentials.
    """
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    credentials = session_of(environ).get_credentials()
    if credentials is None:
        raise no_credentials(
            f"no AWS credentials to sign a token for the EKS cluster {cluster!r} with"
        )
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = f"https://sts.{region}.{suffix}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest(method="GET", url=url, headers={"x-k8s-aws-id": cluster})
    frozen = credentials.get_frozen_credentials()
    SigV4QueryAuth(frozen, "sts", region, expires=_PRESIGNED_SECONDS).add_auth(request)
    signed = base64.urlsafe_b64encode(str(request.url).encode()).rstrip(b"=")
    return f"k8s-aws-v1.{signed.decode()}"
