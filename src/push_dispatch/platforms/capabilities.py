"""What can a platform do beyond starting, watching and stopping?

Capabilities: what a platform declares, what it has if it declares nothing, and the typed view of
it for each optional method. Nothing else asks a platform what it can do.

A platform that declares nothing is one from before there was a declaration: its methods are looked
up on the instance, so that one that wraps another and passes attributes on with `__getattr__` has
them too. (`isinstance` with a protocol does not see those since Python 3.12.)
"""

from __future__ import annotations

from typing import Any, cast

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import (
    Capabilities,
    CleansUp,
    EstimatesCost,
    FindsByName,
    Platform,
    ReadsLogs,
    ReportsEvents,
    SignsIn,
)

__all__ = [
    "capabilities_of",
    "check_capabilities",
    "cleaner",
    "event_parser",
    "finder",
    "log_reader",
    "price_list",
    "signer_in",
]

#: Method of a capability.
_METHODS = {
    "finds_by_name": "find",
    "reads_logs": "logs",
    "reports_events": "parse",
    "cleans_up": "clean_up",
    "estimates_cost": "estimate_cost",
    "signs_in": "sign_in",
}


def capabilities_of(platform: object) -> Capabilities:
    """What the platform (an instance or a class) declares, else what it has."""
    declared = getattr(platform, "capabilities", None)
    return declared if isinstance(declared, Capabilities) else _found(platform)


def check_capabilities(platform: object) -> None:
    """Raise Invalid (`platform_misdeclared`) unless the platform has the methods that it declares,
    and declares those that it has: an undeclared `find` would never be called."""
    declared = getattr(platform, "capabilities", None)
    problem = None if declared is None else _problem(declared, _found(platform))
    if problem:
        name = getattr(platform, "name", type(platform).__name__)
        raise Invalid(f"platform {name!r} {problem}", reason=Reason.PLATFORM_MISDECLARED)


def _problem(declared: object, found: Capabilities) -> str | None:
    if not isinstance(declared, Capabilities):
        kind = type(declared).__name__
        return f"declares what is a {kind}, not a push_dispatch.platforms.base.Capabilities"
    if declared.event_sources and not declared.reports_events:
        return "declares event_sources and not reports_events=True"
    for capability, method in _METHODS.items():
        wanted, there = getattr(declared, capability), getattr(found, capability)
        if wanted and not there:
            return f"declares {capability}=True and has no method `{method}`"
        if there and not wanted:
            return (
                f"has a method `{method}` and does not declare {capability}=True in `capabilities`"
            )
    return None


def finder(platform: Platform) -> FindsByName | None:
    """The platform as one that finds attempts by name; None if it cannot."""
    return cast("FindsByName", platform) if capabilities_of(platform).finds_by_name else None


def log_reader(platform: Platform) -> ReadsLogs | None:
    """The platform as one that reads logs; None if it cannot."""
    return cast("ReadsLogs", platform) if capabilities_of(platform).reads_logs else None


def event_parser(platform: Platform) -> ReportsEvents | None:
    """The platform as one that understands its own events; None if it sends none."""
    return cast("ReportsEvents", platform) if capabilities_of(platform).reports_events else None


def cleaner(platform: Platform) -> CleansUp | None:
    """The platform as one that removes leftovers; None if it keeps none."""
    return cast("CleansUp", platform) if capabilities_of(platform).cleans_up else None


def price_list(platform: Platform) -> EstimatesCost | None:
    """The platform as one that estimates cost; None if it has no price list."""
    return cast("EstimatesCost", platform) if capabilities_of(platform).estimates_cost else None


def signer_in(platform: Platform) -> SignsIn | None:
    """The platform as one whose credentials can be checked; None if they cannot."""
    return cast("SignsIn", platform) if capabilities_of(platform).signs_in else None


def _found(platform: object) -> Capabilities:
    methods: dict[str, Any] = {
        capability: callable(getattr(platform, method, None))
        for capability, method in _METHODS.items()
    }
    # Class attributes of their own, before there was a declaration.
    return Capabilities(
        **methods,
        passes_secrets=getattr(platform, "passes_secrets", False) is True,
        logs_go_too=getattr(platform, "logs_go_too", False) is True,
    )
