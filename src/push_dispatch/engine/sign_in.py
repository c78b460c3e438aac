"""Are the credentials of a platform good? Asked without starting anything."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.capabilities import signer_in
from push_dispatch.ports import Ports

__all__ = ["SignedIn", "sign_in"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What came of it."""

    #: As it was asked for.
    platform: str
    #: Whether the credentials are good, now and for what was asked with them; None if the platform
    #: cannot be asked.
    ok: bool | None
    #: As whom and where, or what is wrong and what to do about it.
    message: str
    #: A token of `push_dispatch.core.reasons` if they are not.
    reason: str | None = None


def sign_in(ports: Ports, platform_name: str) -> SignedIn:
    """Ask the platform of that name. Never raises because of a platform: one that is unknown, not
    installed or broken is not `ok` either. Takes a few seconds at most."""
    try:
        platform = signer_in(ports.platform(platform_name))
        if platform is None:
            message = (
                f"{platform_name} cannot be checked: it has no credentials, or no way to check them"
            )
            return SignedIn(platform_name, None, message)
        return SignedIn(platform_name, ok=True, message=platform.sign_in())
    except PushDispatchError as error:
        # Of a push it would be in doubt; nothing was started here, it just was not answered.
        unanswered = error.reason == Reason.PUSH_UNCERTAIN
        reason = Reason.PLATFORM_UNAVAILABLE if unanswered else error.reason
        return SignedIn(platform_name, ok=False, message=error.message, reason=reason)
    except Exception as error:
        log.exception("%s cannot check its credentials", platform_name)
        message = f"{type(error).__name__}: {error}"
        return SignedIn(platform_name, ok=False, message=message, reason=Reason.INTERNAL_ERROR)
