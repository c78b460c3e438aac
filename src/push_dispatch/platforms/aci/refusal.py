# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""Azure has said no, or nothing: what does that mean?

Every 409 of Azure Resource Manager is the same exception in the SDK, and so is every 404, so the
table goes by status and by the code and message of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from azure.core import exceptions as sdk

from push_dispatch.core.errors import PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.platforms.refusals import Reaction, Row, judge, wording

__all__ = ["ERRORS", "is_sign_in", "refused", "row_of", "translated"]

#: Sources: https://learn.microsoft.com/azure/container-instances/container-instances-troubleshooting,
#: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors and
#: https://learn.microsoft.com/troubleshoot/azure/azure-container-instances/welcome-container-instances.
ERRORS: tuple[Row, ...] = (
    Row((409,), ("containergrouptransitioning", "still transitioning"), Reaction.EXISTS, "platform_throttled", "The container group is being changed; it is looked at again."),
    Row((), ("limit: '0'",), Reaction.PERMANENT, "platform_rejected", "The subscription may have none of this resource in the region: ask for quota."),
    Row((), ("containergroupquotareached", "quotaexceeded", "quota exceeded"), Reaction.CAPACITY, "no_capacity", "Ask for a higher quota, or wait: container groups that have ended count until they are deleted."),
    Row((409,), ("serviceunavailable", "is not available in the location"), Reaction.CAPACITY, "no_capacity", "Add a fallback, choose another location, or ask for less CPU and memory."),
    Row((), ("registryerrorresponse",), Reaction.CAPACITY, "registry_unavailable", "Use a registry close to the container group, with credentials: public ones have rate limits."),
    Row((400, 409), ("inaccessibleimage", "invalidimageregistrycredential"), Reaction.PERMANENT, "image_pull_failed", "Check the image's name and tag, and the job variable image_registry."),
    Row((400,), ("osversionnotsupported", "imageosnotmatch"), Reaction.PERMANENT, "image_pull_failed", "Use an image for the operating system of the container group."),
    Row((), ("missingsubscriptionregistration",), Reaction.PERMANENT, "platform_rejected", "Run az provider register --namespace Microsoft.ContainerInstance once per subscription."),
    Row((), ("readonlydisabledsubscription",), Reaction.PERMANENT, "platform_rejected", "The subscription is disabled: enable it, or use another one."),
    Row((), ("requestdisallowedbypolicy",), Reaction.PERMANENT, "platform_rejected", "A policy of the subscription refuses this container group: change the pool's template."),
    Row((404, 409), ("resourcegroupbeingdeleted", "is in deprovisioning state"), Reaction.PERMANENT, "platform_rejected", "The resource group is being deleted: set the job variable resource_group_name to another one."),
    Row((409,), ("scopelocked",), Reaction.PERMANENT, "platform_rejected", "Remove the lock from the resource group: container groups are created and deleted there."),
    Row((401,), (), Reaction.PERMANENT, "access_denied", "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and the federated credential or the secret."),
    Row((403,), (), Reaction.PERMANENT, "access_denied", "Grant the application the actions that are listed in Aci.azure_actions on the resource group."),
    Row((404,), ("resourcegroupnotfound", "subscriptionnotfound"), Reaction.PERMANENT, "platform_rejected", "Check the job variables subscription_id and resource_group_name."),
    Row((404,), (), Reaction.GONE, "lost", "It was deleted, or never existed."),
    Row((413,), (), Reaction.PERMANENT, "overrides_too_long", "Move large environment variables into the image, a file or a secret."),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "A region takes 100 creations in 5 minutes and 300 an hour: give the pool a platform rate, or ask for more."),
    Row((400, 405, 415, 422), (), Reaction.PERMANENT, "platform_rejected", "Correct the template or the job variable that the message names."),
    Row((408, 409, 500, 502, 503, 504), (), Reaction.UNCERTAIN, "push_uncertain", "The container group is looked up by its name before it is sent again."),
)  # fmt: skip

#: By what the SDK raises instead of an answer; a later entry is less specific. A request that
#: was never sent is told from one that may have been.
_BY_EXCEPTION: tuple[tuple[type[Exception], str], ...] = (
    (sdk.ServiceRequestError, "platform_unavailable"),
    (sdk.AzureError, "push_uncertain"),
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the SDK raises as one of our errors."""
    try:
        yield
    except sdk.AzureError as error:
        raise refused(error) from error


def refused(error: sdk.AzureError) -> PlatformError:
    """Our error for one of the SDK's."""
    if isinstance(error, sdk.ClientAuthenticationError) and is_sign_in(error):
        return _not_signed_in(error)
    if isinstance(error, sdk.HttpResponseError) and error.response is not None:
        return row_of(error).error(_told(error), _retry_after(error))
    kinds = (reason for kind, reason in _BY_EXCEPTION if isinstance(error, kind))
    return Uncertain(str(error), reason=next(kinds, "push_uncertain"))


def is_sign_in(error: sdk.ClientAuthenticationError) -> bool:
    """Whether it comes from Microsoft Entra, and not from the platform itself."""
    request: Any = error.response.request if error.response is not None else None
    return request is None or "/oauth2/" in str(request.url)


def row_of(error: sdk.HttpResponseError) -> Row:
    """The row of an answer; without an answer nothing is known."""
    return judge(ERRORS, error.status_code or 0, wording(_told(error)))


def _not_signed_in(error: sdk.ClientAuthenticationError) -> PlatformError:
    """Microsoft Entra says no, or nothing: nothing was asked of the platform itself. Only a code of
    its own, such as AADSTS7000215, says that asking again is of no use."""
    status = error.status_code or 0
    if status == 429:
        return Throttled(error.message, after_seconds=_retry_after(error))
    if status >= 500 or not re.search(r"AADSTS\d+", error.message):
        return Uncertain(error.message, reason="platform_unavailable")
    remedy = "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and the federated credential or the secret."
    return Rejected(f"{error.message.strip()} {remedy}", reason="access_denied")


def _told(error: sdk.HttpResponseError) -> str:
    if error.error is not None and error.error.code:
        return f"{error.error.code}: {error.error.message}"
    return str(error.message)


def _retry_after(error: sdk.HttpResponseError) -> float | None:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    said = headers.get("Retry-After", "")
    return float(said) if said.isdigit() else None
