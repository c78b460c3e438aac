"""Which platform is behind a pool's type, and is it installed?

The built-in table is looked at first and costs nothing; only an unknown name scans the
`push_dispatch.platforms` entry points (`importlib.metadata` costs tens of milliseconds). Nothing
here imports a platform module before `load` is asked for that very platform.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Capabilities
from push_dispatch.platforms.built_in import BUILT_IN, TABLE
from push_dispatch.platforms.capabilities import capabilities_of, check_capabilities
from push_dispatch.ports.secrets import NO_SECRETS, Secrets

if TYPE_CHECKING:
    from push_dispatch.platforms.base import Platform

__all__ = ["ENTRY_POINTS", "Entry", "entries", "entry_for", "load", "needs_command", "reporting"]

log = logging.getLogger(__name__)

#: Third parties declare a platform as an entry point of this group: name -> class.
ENTRY_POINTS = "push_dispatch.platforms"


class Entry(NamedTuple):
    """One platform: where its class is, which pool types it serves, what it needs."""

    platform: str
    #: `module:Class`, called with the environment mapping, and `secrets` if it has this parameter.
    target: str
    types: tuple[str, ...]
    #: The extra of push-dispatch that installs its client library; None if nothing is needed.
    extra: str | None = None
    #: A module of that library, to see whether it is there without importing it.
    needs: tuple[str, ...] = ()
    #: What it can do beyond the three verbs. None for those of third parties, whose classes say so.
    capabilities: Capabilities | None = None
    #: Whether it starts nothing without a command: it knows no image that may have its own.
    needs_command: bool = False

    @property
    def installed(self) -> bool:
        """Whether the client library can be imported."""
        return all(_importable(name) for name in self.needs)

    @property
    def hint(self) -> str:
        """How to install what is missing."""
        return f"pip install 'push-dispatch[{self.extra}]'" if self.extra else ""


_BUILT_IN = tuple(
    Entry(
        name,
        f"push_dispatch.platforms.{entry['target']}",
        tuple(entry["types"]),
        entry.get("extra", name),
        tuple(entry["needs"]),
        BUILT_IN[name],
        entry.get("needs_command", False),
    )
    for name, entry in TABLE.items()
)


def entries() -> tuple[Entry, ...]:
    """Every known platform: the built-in ones, then those of third parties."""
    return (*_BUILT_IN, *_third_parties())


@cache
def entry_for(pool_type: str) -> Entry:
    """The platform that serves pools of `pool_type` (or that has this name itself).

    Raises Invalid with reason `unknown_type`, naming the nearest known type.
    """
    for entry in _BUILT_IN:
        if pool_type in entry.types or pool_type == entry.platform:
            return entry
    for entry in _third_parties():
        if pool_type in entry.types:
            return entry
    raise Invalid(_unknown(pool_type), reason=Reason.UNKNOWN_TYPE)


def needs_command(pool_type: str) -> bool:
    """Whether runs of such a pool cannot start without a command. False if nobody here knows."""
    try:
        return entry_for(pool_type).needs_command
    except Invalid:
        return False


def load(platform: str, environ: Mapping[str, str], secrets: Secrets = NO_SECRETS) -> Platform:
    """A new instance of the platform; imports its client library, which may take a second.

    `secrets` are the system's own: credentials of platforms are among them.
    Raises Invalid with reason `unknown_type`, `platform_not_installed` with the command that
    installs what is missing, or `platform_misdeclared`.
    """
    entry = entry_for(platform)
    module, _, name = entry.target.partition(":")
    try:
        factory = getattr(import_module(module), name)
        made = cast("Platform", factory(environ, **_wanted(factory, secrets)))
    except ImportError as error:
        message = f"platform {entry.platform!r} cannot be imported ({error}). {entry.hint}".strip()
        raise Invalid(message, reason=Reason.PLATFORM_NOT_INSTALLED) from error
    check_capabilities(made)
    return made


def reporting(source: str, loaded: Callable[[str], Platform]) -> Platform:
    """The platform that declares events of this source. `loaded` returns the platform of a name.

    Those of ours are known without being loaded. Raises Invalid (`unknown_type`).
    """
    for entry in chain(_BUILT_IN, _third_parties()):
        try:
            can = entry.capabilities or capabilities_of(loaded(entry.platform))
        except Exception:
            log.exception("platform %s cannot be loaded", entry.platform)
            continue
        if source in can.event_sources:
            return loaded(entry.platform)
    raise Invalid(
        f"no platform here declares events of the source {source!r}: install its package in this "
        "function, or correct the rule that sends them",
        reason=Reason.UNKNOWN_TYPE,
    )


def _wanted(factory: Any, secrets: Secrets) -> Mapping[str, Secrets]:
    """A platform without credentials, or older than this parameter, takes the environment only."""
    return {"secrets": secrets} if "secrets" in signature(factory).parameters else {}


def _third_parties() -> Iterator[Entry]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - tens of ms, rarely needed

    for point in entry_points(group=ENTRY_POINTS):
        yield Entry(point.name, point.value, (point.name,))


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _unknown(pool_type: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for the error

    known = [name for entry in entries() for name in entry.types]
    near = get_close_matches(pool_type, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no platform of type {pool_type!r}{hint} Known types: {', '.join(known)}"
