"""How is a gRPC API reached? By one channel, opened when it is needed, that repeats nothing."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from urllib.parse import urlsplit

import grpc

__all__ = ["Channel"]

#: Much longer than any call takes, so that none is under way.
_IDLE_SECONDS = 60
_OPTIONS = (
    # Nothing is sent twice by the channel itself.
    ("grpc.enable_retries", 0),
    # Else a channel that once failed to connect would refuse calls for up to two minutes.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Else channels to the same place share their connections, and a new channel is handed the one
    # that the old channel has not closed yet.
    ("grpc.use_local_subchannel_pool", 1),
)


class Channel:
    """A channel that is replaced after a pause: a function that was frozen finds its connection
    cut off."""

    def __init__(self, url: Callable[[], str], clock: Callable[[], float]) -> None:
        """`url` is asked when a channel is opened; `clock` gives epoch seconds."""
        self._url = url
        self._clock = clock
        self._lock = Lock()
        self._channel: grpc.Channel | None = None
        self._used = 0.0

    def open(self) -> grpc.Channel:
        """Return the channel. Raises what `url` does."""
        with self._lock:
            now = self._clock()
            if self._channel is None or now - self._used > _IDLE_SECONDS:
                self._close()
                self._channel = _connected(self._url())
            self._used = now
            return self._channel

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _connected(url: str) -> grpc.Channel:
    parts = urlsplit(url)
    if parts.scheme == "http":
        return grpc.insecure_channel(parts.netloc, options=_OPTIONS)
    target = parts.netloc if parts.port else f"{parts.netloc}:443"
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=_OPTIONS)
