"""What does a runtime need from the place that keeps its state, and which places are there?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from push_dispatch.local.signals import Signal
from push_dispatch.ports import Ports

__all__ = ["Backing", "Bridging", "Handler", "Work"]

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Work:
    """A loop's step, and who wakes it before its time; None if nobody does."""

    name: str
    step: Callable[[], float]
    signal: Signal | None = None


@dataclass(frozen=True, slots=True)
class Bridging:
    """The prefect function: its queue, and the changes that it wants to know of."""

    claim: Handler
    watch: Handler
    filters: Sequence[Mapping[str, Any]]


class Backing(Protocol):
    """Keeps the state, and delivers what it leads to. Embedded: one file. Emulated: MiniStack."""

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        ...

    def start(self) -> Mapping[str, Any]:
        """Start, and return the fields of `Record` that say how to reach it. Raises Unavailable."""
        ...

    def ports(self, environ: Mapping[str, str]) -> Ports:
        """The ports of the runtime itself, after `start`."""
        ...

    def deployments(self) -> Signal | None:
        """Who is poked when a deployment changes; None if nobody is."""
        ...

    def work(
        self, dispatch: Handler, push: Handler, bridge: Bridging, ended: Handler | None
    ) -> list[Work]:
        """What is to be repeated so that changes and messages reach their functions; `ended` takes
        the runs that have ended, if they are traced."""
        ...

    def recover(self, ports: Ports) -> str:
        """Find what an earlier runtime has left unfinished, before any work is done. Return what
        there is to say of it if that one was not stopped but ended; else nothing."""
        ...

    def drain(self) -> None:
        """Deliver the changes that are there: the loops have stopped."""
        ...

    def stop(self) -> None:
        """Close, also after a failed start. Idempotent."""
        ...
