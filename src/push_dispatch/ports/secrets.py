"""What is a secret reference, and who reads what is behind it?

The value is read at the push, and never kept, logged or shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["BLOCKS", "NO_SECRETS", "WEBHOOKS", "Secret", "Secrets"]

#: Below it are the system's secrets that sign webhooks.
WEBHOOKS = "webhooks/"

#: Secrets whose names begin with that are blocks of a server.
BLOCKS = "prefect-blocks/"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that a job needs, without its value."""

    name: str
    #: ARN for platforms that read it themselves; empty if the store has none.
    arn: str
    #: Reads the value. Raises KeyError if there is none or it may not be read.
    read: Callable[[], str] = field(repr=False)


class Secrets(Protocol):
    """A store of secrets."""

    def read(self, name: str) -> str:
        """The value. Raises KeyError if there is none or it may not be read, Unavailable."""
        ...

    def arn(self, name: str) -> str:
        """The ARN, or an empty string if this store has none. Raises KeyError, Unavailable."""
        ...

    def where(self, name: str) -> str:
        """Describe the place where the secret has to be, for people."""
        ...


class _NoSecrets:
    """A store without any."""

    def read(self, name: str) -> str:
        raise KeyError(name)

    arn = read

    def where(self, name: str) -> str:
        return f"{name!r} in the secret store, which this platform was made without"


#: What a platform has that is made without a store.
NO_SECRETS: Secrets = _NoSecrets()
