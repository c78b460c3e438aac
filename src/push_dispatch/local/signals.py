"""How does a loop learn that there is work for it? Nobody polls: whoever makes work pokes it.

Inside the runtime by a condition, from another process by a datagram on loopback that names who has
work. A poke that is lost costs nothing but time: each loop also comes back by itself.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Condition, Thread

__all__ = ["PokeServer", "Signal", "poker"]

_HOST = "127.0.0.1"


class Signal:
    """Counts the pokes of one loop, or of several that share their work."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._pokes = 0

    @property
    def pokes(self) -> int:
        """How many there were; read before the work is looked for."""
        return self._pokes

    def poke(self) -> None:
        """Wake one of those who wait: who takes work and leaves some pokes again."""
        with self._condition:
            self._pokes += 1
            self._condition.notify()

    def poke_all(self) -> None:
        """Wake everybody who waits."""
        with self._condition:
            self._pokes += 1
            self._condition.notify_all()

    def wait(self, pokes: int, seconds: float) -> None:
        """Return after `seconds`, or as soon as there were other than `pokes` pokes."""
        with self._condition:
            self._condition.wait_for(lambda: self._pokes != pokes, seconds)


class PokeServer:
    """Passes on the pokes of other processes. Nothing is answered, and nothing else is accepted."""

    def __init__(self, poke: Callable[[Iterable[str]], None]) -> None:
        self._poke = poke
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((_HOST, 0))
        self._thread = Thread(target=self._serve, name="pokes", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    def stop(self) -> None:
        """Listen no longer."""
        poker(self.port)(())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            names = self._socket.recv(1024).decode("ascii", "replace")
            if not names:
                return
            self._poke(names.split(","))


def poker(port: int) -> Callable[[Iterable[str]], None]:
    """A function that pokes the runtime which listens there, and never fails."""

    def poke(names: Iterable[str]) -> None:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto(",".join(names).encode("ascii"), (_HOST, port))

    return poke
