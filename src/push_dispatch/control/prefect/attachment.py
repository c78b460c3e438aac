"""What does a pool remember of the server that it is attached to?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from push_dispatch.core.errors import NotFound
from push_dispatch.core.reasons import Reason
from push_dispatch.ports import Ports
from push_dispatch.ports.prefect import Address, Connect, Server

__all__ = [
    "GATEWAY",
    "Attachment",
    "Bridge",
    "attached",
    "attachments",
    "forget",
    "note",
    "problem_of",
    "remember",
]

#: The function, and the queue, that attempts of attached pools pass before they are pushed.
GATEWAY = "prefect"

#: The prefect function reads pools each five minutes; unread for so long, it does not run.
UNSEEN_MINUTES = 15

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Attachment:
    """One pool of ours and the work pool that it stands for."""

    #: Our name of it.
    pool: str
    address: Address
    #: Of the work pool: its id, which stays, and its name.
    pool_id: str
    work_pool: str
    #: Names this bridge in the claims that it makes: a uuid.
    bridge: str
    #: Our type, where it is not the work pool's.
    type: str = ""
    #: Where flow runs reach the API, if that is not `address.api_url`.
    container_url: str = ""
    #: Our names of the queues, by their ids: a renamed queue keeps the one that it had.
    queues: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    #: The marks of the pool and its queues as they were mirrored, by their ids.
    marks: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    #: Where the server is to call us when there is something to do, `local` for the door of a local
    #: runtime; where it calls us; what it sends to prove that it is ours; and the ids of its
    #: automation and block.
    hint_url: str = ""
    hinted_url: str = ""
    hint_secret: str = ""
    automation: str = ""
    block: str = ""
    #: It is being detached: no further run is started.
    draining: bool = False
    attached_at: int = 0
    mirrored_at: int = 0
    beaten_at: int = 0
    ticked_at: int = 0
    #: What kept the last mirroring or tick from being done; empty if nothing did.
    problem: str = ""

    @property
    def run_url(self) -> str:
        """`PREFECT_API_URL` of the flow runs."""
        return self.container_url or self.address.api_url

    def document(self) -> dict[str, Any]:
        """The attachment as plain data."""
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        address = {k: dict(v) if isinstance(v, Mapping) else v for k, v in _address(self.address)}
        return {
            **plain,
            "address": address,
            "queues": dict(self.queues),
            "marks": dict(self.marks),
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Attachment:
        """The attachment in a document; what a later version has added is left out."""
        known = {entry.name for entry in fields(cls)}
        kept = {name: value for name, value in document.items() if name in known}
        return cls(**{**kept, "address": Address.read(document["address"])})


def _address(address: Address) -> list[tuple[str, Any]]:
    return [(entry.name, getattr(address, entry.name)) for entry in fields(address)]


@dataclass(frozen=True, slots=True)
class Bridge:
    """What the bridge's use cases need: our own system, and how a server is reached."""

    ports: Ports
    connect: Connect
    #: Servers that are open, by their address as text.
    _open: dict[str, Server] = field(default_factory=dict)

    def server(self, address: Address) -> Server:
        """The server at this address, opened once. Raises Rejected (`secret_unavailable`)."""
        key = repr(address)
        if key not in self._open:
            self._open[key] = self.connect(address)
        return self._open[key]

    def close(self, address: Address) -> None:
        """Forget an open server: its credentials may have changed."""
        key = repr(address)
        self._open.pop(key, None)

    @property
    def clock(self) -> Callable[[], int]:
        """The time in epoch milliseconds."""
        return self.ports.clock


def attachments(ports: Ports) -> list[Attachment]:
    """Every attachment, in the order of our names."""
    return [Attachment.read(document) for document in ports.store.attachments().values()]


def problem_of(attachment: Attachment, now: int) -> str:
    """What is wrong with an attachment, for people; empty if nothing is."""
    minutes = (now - attachment.mirrored_at) // 60_000
    if attachment.problem or minutes < UNSEEN_MINUTES:
        return attachment.problem
    return (
        f"the server was not read for {minutes} minutes: is the prefect function deployed "
        "(EnablePrefect), and does it run?"
    )


def attached(ports: Ports, pool: str) -> Attachment:
    """The attachment of a pool. Raises NotFound (`not_attached`)."""
    document = ports.store.attachment(pool)
    if document is None:
        raise NotFound(
            f"pool {pool!r} is not attached to a Prefect server", reason=Reason.NOT_ATTACHED
        )
    return Attachment.read(document)


def remember(ports: Ports, attachment: Attachment) -> None:
    """Keep it as it is now; the last writer wins."""
    ports.store.put_attachment(attachment.pool, attachment.document())


def note(ports: Ports, pool: str, **changed: Any) -> None:
    """Change these fields of an attachment as it is by now: somebody may have attached the pool
    anew meanwhile, with other credentials, or have detached it. No effect if it is gone."""
    document = ports.store.attachment(pool)
    if document is not None:
        ports.store.put_attachment(pool, {**document, **changed})


def forget(ports: Ports, pool: str) -> None:
    """Remove it. Idempotent."""
    ports.store.delete_attachment(pool)
