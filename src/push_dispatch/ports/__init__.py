"""What do the use cases need from outside? A handful of things, handed over in one value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from push_dispatch.core.polling import Pauses
from push_dispatch.ports.eager import Eager
from push_dispatch.ports.messages import Messages
from push_dispatch.ports.meter import Meter, no_meter
from push_dispatch.ports.recent import Recent
from push_dispatch.ports.reporter import Reporter
from push_dispatch.ports.schedules import NoSchedules, Schedules
from push_dispatch.ports.secrets import Secrets
from push_dispatch.ports.store import Store

if TYPE_CHECKING:
    from push_dispatch.platforms.base import Platform

__all__ = ["Ports"]


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything with an effect. Tests hand over fakes, `bootstrap` the real ones."""

    store: Store
    messages: Messages
    #: The time in epoch milliseconds.
    clock: Callable[[], int]
    #: A fresh uuid7, dashed.
    new_id: Callable[[], str]
    #: The platform of that name; imports its client library on first use.
    platform: Callable[[str], Platform]
    #: What is behind secret references, read anew at each push.
    secrets: Secrets
    #: What `{{ $NAME }}` in a template may read: an allow-list, never the whole environment.
    template_env: Mapping[str, str] = field(default_factory=dict)
    #: Where jobs report on themselves; None if they cannot.
    reporter: Reporter | None = None
    #: Whether runs are traced: then each job is handed its attempt's span.
    traces: bool = False
    #: Fires the deployments' schedules.
    schedules: Schedules = field(default_factory=NoSchedules)
    #: Takes what is measured.
    meter: Meter = no_meter
    #: Between the polls of an attempt whose platform reports no ends; none but the sweep's without.
    pauses: Pauses = field(default_factory=Pauses)
    #: Whether what this platform reports by itself arrives here.
    hears: Callable[[str], bool] = lambda _platform: True
    #: Waits a moment, at random, before the n-th retry (from 0) of a race that was lost.
    rest: Callable[[int], None] = lambda _race: None
    #: For how many milliseconds since a time an attempt of that platform did not run, because the
    #: machine that it is on was asleep.
    slept: Callable[[str, int], int] = lambda _platform, _since: 0

    #: Runs passes at once where it stores new runs and ends; None leaves them to the stream.
    eager: Eager | None = None
    #: The runs that this process has written a moment ago.
    recent: Recent = field(default_factory=Recent)

    @contextmanager
    def timed(self, platform: str, call: str) -> Iterator[None]:
        """Measure a call of a platform, also if it fails."""
        began = self.clock()
        try:
            yield
        finally:
            took = self.clock() - began
            self.meter({"PlatformCallLatency": took}, platform=platform, call=call)
