"""What does the bridge need of a Prefect server? A few verbs over its REST API.

Times are epoch milliseconds. `due_text` is the server's own text of a due time: it goes back byte
for byte, because the server compares it to the microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Protocol

from push_dispatch.core.errors import Unavailable
from push_dispatch.core.reasons import Reason

__all__ = [
    "Address",
    "Answer",
    "Connect",
    "Deployment",
    "FlowRun",
    "Hint",
    "Overloaded",
    "Proposal",
    "Server",
    "State",
    "WorkPool",
    "WorkQueue",
    "Worker",
]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Overloaded(Unavailable):
    """The server is rate-limiting: try again when it says so."""

    default_reason = Reason.PREFECT_UNAVAILABLE

    def __init__(self, message: str | None = None, *, after_seconds: float | None = None) -> None:
        super().__init__(message, reason=self.default_reason)
        self.after_seconds = after_seconds


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Prefect server is and how to sign in; credentials are names of secrets."""

    api_url: str
    #: Name of the secret with `user:password` (`PREFECT_API_AUTH_STRING`), or with the API key.
    auth_secret: str = ""
    key_secret: str = ""
    #: Further headers that are no secret, and the name of the secret with a JSON object of those
    #: that are: as a whole, so that a platform can hand it over as a secret.
    headers: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    headers_secret: str = ""
    #: A file with the certificates of the authorities to trust; empty for those of the system.
    ca_file: str = ""
    #: False accepts any certificate: for a test on one machine.
    verify: bool = True

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Address:
        """The address in a document; what a later version has added is left out."""
        known = {entry.name for entry in fields(cls)}
        return cls(**{name: value for name, value in document.items() if name in known})


@dataclass(frozen=True, slots=True)
class State:
    """A state of a flow run."""

    id: str
    type: str
    name: str
    message: str
    timestamp: int
    #: Of the transition that led to it; empty if it named none.
    transition_id: str = ""
    #: When it is to start, of a SCHEDULED state.
    scheduled: int | None = None
    #: Of a PAUSED run: its container has exited, and a resume schedules it again.
    reschedules: bool = False


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A flow run as the server lists it."""

    id: str
    name: str
    state: State
    pool_id: str
    queue_id: str
    flow_id: str
    deployment_id: str = ""
    #: When it is to start; None unless it is SCHEDULED.
    due: int | None = None
    due_text: str = ""
    infrastructure_pid: str = ""
    job_variables: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    tags: tuple[str, ...] = ()
    #: The run waits for a retry inside of its container, which is alive.
    retries_in_process: bool = False


@dataclass(frozen=True, slots=True)
class WorkQueue:
    """A queue of a work pool."""

    id: str
    name: str
    priority: int
    limit: int | None = None
    paused: bool = False

    @property
    def mark(self) -> str:
        """Another text after each change of what we mirror, but of its name."""
        return f"{self.priority} {self.limit} {self.paused}"


@dataclass(frozen=True, slots=True)
class WorkPool:
    """A work pool; its queues are read separately."""

    id: str
    name: str
    type: str
    template: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    limit: int | None = None
    paused: bool = False
    status: str = ""
    default_queue_id: str = ""
    #: Another text after each change of it; heartbeats change nothing.
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a run takes over from its deployment."""

    id: str
    name: str
    job_variables: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    paused: bool = False
    #: When it was changed last, in the server's own text.
    updated: str = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a server sends along when it hints at a flow run that was scheduled: all that it is
    submitted from."""

    flow_run: FlowRun
    flow_name: str
    deployment: Deployment | None
    #: The marks of its pool and its queue.
    pool_mark: str
    queue_mark: str


@dataclass(frozen=True, slots=True)
class Worker:
    """Who has sent heartbeats for a pool."""

    name: str
    online: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """A state that is proposed for runs, and what must still be true of them."""

    type: str
    #: Types of which the run must be, or nothing is written.
    if_types: tuple[str, ...]
    name: str = ""
    message: str = ""
    #: A repeated proposal with the same id changes nothing, and is answered like the first one.
    transition_id: str = ""
    #: Of SCHEDULED: when the run is due, in the server's own text or in epoch milliseconds.
    scheduled_time: str = ""
    scheduled_at: int | None = None
    #: The due time that the run must still have.
    if_due: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to a proposal for one run: ACCEPT, REJECT, ABORT or WAIT."""

    status: str
    #: The state after it.
    state: State | None
    reason: str = ""
    delay_seconds: float = 0.0


class Server(Protocol):
    """One Prefect server. Every verb raises Unavailable (`prefect_unavailable`; Overloaded if the
    server is rate-limiting) and Refused (`prefect_denied`) for credentials that it refuses."""

    @property
    def requests(self) -> int:
        """How many requests were sent so far."""
        ...

    def version(self) -> str:
        """Its version, such as `3.9.1`."""
        ...

    def pool(self, name: str) -> WorkPool | None:
        """The work pool of that name, or None."""
        ...

    def pools(self, ids: Iterable[str]) -> dict[str, WorkPool]:
        """The work pools that exist, by id."""
        ...

    def queues(self, pool_ids: Iterable[str]) -> dict[str, list[WorkQueue]]:
        """The queues of these pools, by the pool's id."""
        ...

    def workers(self, pool: str) -> list[Worker]:
        """Who serves the pool of that name."""
        ...

    def beat(self, pool: str, seconds: int) -> None:
        """Show the pool as READY; it stays so for three times `seconds`. Idempotent."""
        ...

    def watched(self, pool_ids: Sequence[str], until: int) -> list[FlowRun]:
        """The runs of these pools that are due by `until`, and those that are PENDING, RUNNING or
        CANCELLING."""
        ...

    def runs(self, ids: Iterable[str]) -> dict[str, FlowRun]:
        """The flow runs that exist, by id."""
        ...

    def deployments(self, ids: Iterable[str]) -> dict[str, Deployment]:
        """The deployments that exist, by id."""
        ...

    def deployments_of(self, pool: str) -> list[Deployment]:
        """The deployments of the pool of that name."""
        ...

    def flow_names(self, ids: Iterable[str]) -> dict[str, str]:
        """The names of the flows that exist, by id."""
        ...

    def propose(self, ids: Sequence[str], proposal: Proposal) -> dict[str, Answer]:
        """Propose a state for these runs. One for which the conditions are not true (any more)
        has no answer. Idempotent with a `transition_id`."""
        ...

    def last_claim(self, run: str) -> str:
        """The transition id of the last claim of a run: of its last state PENDING; empty if that
        has none."""
        ...

    def note_infrastructure(self, run: str, pid: str) -> None:
        """Say where a run executes. Idempotent; no effect if the run is gone."""
        ...

    def log(self, run: str, level: int, message: str, now: int) -> None:
        """Append a line to the logs of a run."""
        ...

    def add_hint(self, pool: WorkPool, url: str, secret: str) -> tuple[str, str]:
        """Have the server call `url` when a run of the pool is scheduled or cancelled, or the pool
        changes; return the ids of the automation and of its block. Replaces what was there."""
        ...

    def remove_hint(self, automation: str, block: str) -> None:
        """Undo `add_hint`. Idempotent."""
        ...

    def leave(self, pool: str) -> None:
        """Undo `beat` at once. Idempotent."""
        ...

    def variable(self, name: str) -> Any:
        """The value of a Prefect variable. Raises KeyError if there is none."""
        ...

    def block(self, type_slug: str, name: str) -> Any:
        """The data of a block, its secrets in clear. Raises KeyError if there is none."""
        ...


#: Opens a server. Raises Rejected (`secret_unavailable`) if a credential cannot be read.
Connect = Callable[[Address], Server]
