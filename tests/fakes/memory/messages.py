"""How are messages kept in memory? For tests and simulations: lists that the caller drains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from push_dispatch.core.errors import NotFound
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.messages import Message, Wake

__all__ = ["MemoryMessages"]


@dataclass
class MemoryMessages:
    """Keeps what was sent with its delay, in order."""

    #: Platforms that have a function; None is all.
    platforms: frozenset[str] | None = None
    sent: list[tuple[str, Message, int]] = field(default_factory=list)
    wakes: list[tuple[Wake, int]] = field(default_factory=list)

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        """See `Messages.send`."""
        if self.platforms is not None and platform not in self.platforms:
            raise NotFound(
                f"no function is deployed for platform {platform!r}",
                reason=Reason.PLATFORM_NOT_CONFIGURED,
            )
        self.sent += [(platform, message, delay_seconds) for message in messages]

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        """See `Messages.wake`."""
        self.wakes += [(wake, delay_seconds) for wake in wakes]
