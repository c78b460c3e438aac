"""What must a platform be able to do?

A platform is any class with the three verbs of `Platform`; no base class is inherited. What only
some platforms can do is a one-method protocol of its own, declared by `Capabilities`. Errors are
those of `push_dispatch.core.errors`: `Rejected`, `Throttled`, `NoCapacity`, `Uncertain`, each named
after what the caller does next. Anything else that escapes from `push` is taken as `Uncertain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from push_dispatch.core.model import Observation, Status
from push_dispatch.ports.secrets import Secret

__all__ = [
    "Capabilities",
    "CleansUp",
    "EstimatesCost",
    "FindsByName",
    "Job",
    "Observation",
    "Platform",
    "ReadsLogs",
    "ReportsEvents",
    "SignsIn",
    "Status",
    "Watched",
]


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of a run, ready to be sent. A pure function of what is stored, so that sending
    it twice sends the same bytes."""

    #: Deterministic and unique per attempt: `pd-<32 hex>-<attempt>`, at most 41 characters.
    name: str
    #: The run's id as people see it: `<pool>.<uuid>`.
    run_id: str
    pool: str
    #: The pool's type as its owner wrote it, such as `ecs:push`; several types share a platform.
    type: str
    attempt: int
    #: The rendered job configuration of the pool's base job template; secrets already resolved.
    configuration: Mapping[str, Any]
    #: Seconds after which the attempt is stopped from outside; platforms that can enforce it, do.
    timeout_seconds: int | None = None
    #: Environment variables with a secret in them, by name, for platforms that declare
    #: `Capabilities.passes_secrets`: they hand the reference, or the value as a secret, to the
    #: platform's own mechanism. For all others the values are in the configuration's `env`.
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    #: When this attempt was claimed by the first push that may have started it, in epoch
    #: milliseconds: tells a platform whether its idempotency window is still open.
    claimed_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a platform can do beyond the three verbs: the class attribute `capabilities`.

    The first six are methods, and have to be there if they are declared, and only then. A platform
    from before there was this declaration has none: see `platforms.capabilities`.
    """

    #: `FindsByName.find` settles an uncertain push. A platform without it has to start one attempt
    #: when the same name is pushed twice, all by itself.
    finds_by_name: bool = False
    #: `ReadsLogs.logs` reads what the attempt wrote.
    reads_logs: bool = False
    #: `ReportsEvents.parse` understands the platform's own notifications.
    reports_events: bool = False
    #: The `source` that they have on the event bus: the finish function hands them over by it.
    event_sources: tuple[str, ...] = ()
    #: `CleansUp.clean_up` removes what counts against a quota after the end.
    cleans_up: bool = False
    #: `EstimatesCost.estimate_cost` knows a price list.
    estimates_cost: bool = False
    #: `SignsIn.sign_in` says whether the credentials are good.
    signs_in: bool = False
    #: Secrets in `Job.secrets` go to the platform's own mechanism, not into the environment.
    passes_secrets: bool = False
    #: A regular expression of the names in `{{ secrets.NAME }}` that are those of a secret in the
    #: platform's own store: it comes in `Job.secrets`, and only the platform reads it.
    own_secrets: str = ""
    #: `clean_up` deletes the logs, too: their end is kept with the run before.
    logs_go_too: bool = False
    #: Lines can be read only some seconds after they were written: a follower waits for the last.
    logs_late: bool = False


class Platform(Protocol):
    """Starts, watches and stops attempts on one kind of infrastructure.

    One that can do more declares so in a class attribute `capabilities`, of type `Capabilities`.
    """

    #: The platform's own name, such as `ecs`: names its queue, its function and its extra.
    name: ClassVar[str]

    def push(self, job: Job) -> str:
        """Ask for the attempt to be started and return its handle, without waiting for it.

        The same `job.name` twice starts one attempt: where the platform has no native
        idempotency the adapter looks before it sends, and adopts what it finds.
        Raises Rejected, Throttled, NoCapacity or Uncertain. Takes a few seconds at most.
        """
        ...

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """Say what is known of each attempt, in any order; never raises because one is gone (LOST)
        or cannot be asked (UNKNOWN). Batched where the platform can."""
        ...

    def cancel(self, handle: str) -> None:
        """Ask for the attempt to be stopped; returns at once, and silently when it has already
        stopped or is gone. Idempotent. Raises Throttled or Uncertain if it could not be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """An attempt to be observed: its handle and what correlates it with its run."""

    handle: str
    run_id: str
    attempt: int


@runtime_checkable
class FindsByName(Protocol):
    """Settles an uncertain push."""

    def find(self, job: Job) -> str | None:
        """The handle of the attempt with `job.name`, finished or not; None when the platform is
        sure that there is none. Raises Uncertain when it is not sure."""
        ...


@runtime_checkable
class ReadsLogs(Protocol):
    """Reads what the attempt wrote."""

    def logs(self, handle: str) -> Iterator[str]:
        """The lines written so far, oldest first, without line ends. Empty when there are none."""
        ...


@runtime_checkable
class ReportsEvents(Protocol):
    """Understands the platform's own notifications."""

    def parse(self, event: Mapping[str, Any]) -> Observation | None:
        """The observation in an event, or None when it is not about a run of ours."""
        ...


@runtime_checkable
class CleansUp(Protocol):
    """Removes what the platform keeps after the end of an attempt and counts against a quota."""

    def clean_up(self, handle: str) -> None:
        """Delete the leftovers of an ended attempt. Idempotent; silent when nothing is left."""
        ...


@runtime_checkable
class EstimatesCost(Protocol):
    """Knows a price list."""

    def estimate_cost(self, configuration: Mapping[str, Any], seconds: float) -> float | None:
        """US dollars for `seconds` of it by the dated price list; None if unknown."""
        ...


@runtime_checkable
class SignsIn(Protocol):
    """Can be asked whether its credentials are good."""

    def sign_in(self) -> str:
        """Sign in, or ask for something harmless, starting and changing nothing; a few words on as
        whom and where, for people. Done anew each time: what was remembered of an earlier sign-in
        proves nothing.

        Raises Rejected (`credentials_missing`, `access_denied`, `secret_unavailable`, …), Throttled
        or Uncertain (`platform_unavailable`), as `push` would. Takes a few seconds at most.
        """
        ...
