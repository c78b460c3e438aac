"""How does a push read what is in a Prefect block? As a secret, from the server itself.

`{{ prefect.blocks.TYPE.NAME.PATH }}` of an attached pool has become the secret
`prefect-blocks/POOL/TYPE/NAME/PATH`: it is read at each push, and handed over as any other secret.
Every other name is read where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch.ports.secrets import BLOCKS, Secrets

__all__ = ["BlockSecrets"]


class BlockSecrets:
    """The secrets of runs, and behind `BLOCKS` those of attached servers."""

    def __init__(self, own: Secrets, attachment: Callable[[str], Mapping[str, Any] | None]) -> None:
        """`attachment` returns the document of a pool's attachment, or None."""
        self._own = own
        self._attachment = attachment

    def read(self, name: str) -> str:
        """See `Secrets.read`. Raises Unavailable, too, if the server cannot be reached."""
        if not name.startswith(BLOCKS):
            return self._own.read(name)
        pool, slug, block, *path = name.removeprefix(BLOCKS).split("/")
        document = self._attachment(pool)
        if document is None:
            raise KeyError(name)
        # Few pushes need it, and every function has this module.
        from push_dispatch.adapters.prefect.server import connect  # noqa: PLC0415
        from push_dispatch.ports.prefect import Address  # noqa: PLC0415

        server = connect(Address.read(document["address"]), self._own)
        return _text(_inside(server.block(slug, block), path, name))

    def arn(self, name: str) -> str:
        return "" if name.startswith(BLOCKS) else self._own.arn(name)

    def where(self, name: str) -> str:
        if not name.startswith(BLOCKS):
            return self._own.where(name)
        return f"the Prefect block {name.removeprefix(BLOCKS).partition('/')[2]}"


def _inside(found: Any, path: list[str], name: str) -> Any:
    """What the path names; a block that is nothing but a value is that value, as in Prefect."""
    if isinstance(found, Mapping) and set(found) == {"value"}:
        found = found["value"]
    for step in path:
        try:
            found = found[int(step)] if isinstance(found, list) else found[step]
        except (KeyError, IndexError, TypeError, ValueError):
            raise KeyError(name) from None
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
