"""How do the values of secrets stay out of everything that is kept or shown?

Redactor: reads the secrets of one push, and masks their values in whatever the push says: errors
of platforms and of their libraries quote what they were given.
"""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterator
from urllib.parse import quote

from push_dispatch.core.bounds import short
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.ports.secrets import Secrets

__all__ = ["MASK", "Redactor"]

MASK = "[secret]"

#: A part of a value is masked from this length on: messages cut values short, split them into
#: words, or quote one line.
_PART = 8
#: Shorter values are no secrets, and masking them would make every message unreadable.
_SHORTEST = 3


class Redactor:
    """A store of secrets that remembers the values that were read from it."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._values: set[str] = set()

    def read(self, name: str) -> str:
        """See `Secrets.read`."""
        value = self._secrets.read(name)
        self.add(value)
        return value

    def add(self, value: str) -> None:
        """Mask this value, too."""
        self._values.add(value)

    def arn(self, name: str) -> str:
        """See `Secrets.arn`."""
        return self._secrets.arn(name)

    def where(self, name: str) -> str:
        """See `Secrets.where`."""
        return self._secrets.where(name)

    def mask(self, text: str) -> str:
        """The text without the values, and parts of them, as they are or as code quotes them."""
        for value in sorted(self._values, key=len, reverse=True):
            for form in dict.fromkeys(_forms(value)):
                text = _without(text, form)
        return text

    def masked(self, error: Exception) -> str:
        """What an error says, without the values."""
        text = error.message if isinstance(error, PushDispatchError) else str(error)
        return short(self.mask(text))

    def trace(self, error: Exception) -> str:
        """Where an error was raised, and what it and its causes say, without the values."""
        return self.mask("".join(traceback.format_exception(error)))


def _forms(value: str) -> Iterator[str]:
    """The value, and the ways in which an error may spell it."""
    if len(value) < _SHORTEST:
        return
    yield value
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield quote(value, safe="")
    yield base64.b64encode(value.encode(errors="replace")).decode()


def _without(text: str, secret: str) -> str:
    """The text with each longest piece of the secret masked."""
    if len(secret) < _PART:
        return text.replace(secret, MASK)
    kept: list[str] = []
    at = 0
    while at < len(text):
        size = _shared(text, at, secret)
        if size >= _PART:
            kept.append(MASK)
            at += size
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


def _shared(text: str, at: int, secret: str) -> int:
    """How much of the text from there on is a piece of the secret; 0 if less than `_PART`."""
    size = _PART
    if len(text) - at < size or text[at : at + size] not in secret:
        return 0
    while at + size < len(text) and text[at : at + size + 1] in secret:
        size += 1
    return size
