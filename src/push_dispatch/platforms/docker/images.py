"""How does an image get onto the engine, when a push may take seconds and a pull takes minutes?

A pull ends when its connection does, so somebody must hold it: a thread of this process. The push
that needs the image looks in for a few seconds and is sent again later until the image is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch.core.errors import PlatformError, Throttled
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.docker.refusal import PULLS

__all__ = ["Images"]

#: How long a push waits for a pull, and after how long it looks in again.
_WAIT_SECONDS = 3.0
_AGAIN_SECONDS = 5.0

#: Progress of a pull: dictionaries as the engine sends them, some with the key `error`.
Progress = Callable[[str, Mapping[str, str] | None], Any]


class Images:
    """The pulls that are under way, one per image."""

    def __init__(self, pull: Progress) -> None:
        self._pull = pull
        self._lock = threading.Lock()
        self._pulls: dict[str, _Pull] = {}

    def pull(self, image: str, credentials: Mapping[str, str] | None) -> None:
        """Return once the image has been pulled since it was last asked for.

        Raises Throttled (`image_pulling`) while it is on its way, and Rejected
        (`image_pull_failed`), NoCapacity or Throttled if the pull has failed.
        """
        with self._lock:
            pull = self._pulls.get(image)
            if pull is None:
                pull = self._pulls[image] = _Pull(lambda: self._pull(image, credentials), image)
                pull.start()
        pull.join(_WAIT_SECONDS)
        if pull.is_alive():
            raise Throttled(
                f"image {image} is being pulled",
                reason=Reason.IMAGE_PULLING,
                after_seconds=_AGAIN_SECONDS,
            )
        with self._lock:
            self._pulls.pop(image, None)
        if pull.failure:
            raise pull.failure


class _Pull(threading.Thread):
    def __init__(self, progress: Callable[[], Any], image: str) -> None:
        super().__init__(name=f"pull {image}", daemon=True)
        self._progress = progress
        self._image = image
        self.failure: PlatformError | None = None

    def run(self) -> None:
        try:
            for step in self._progress():
                # A refusal of the registry comes in the middle of an answer that began well.
                if failure := step.get("error"):
                    self.failure = self._refused(failure)
        except PlatformError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001 - it must reach whoever asked
            self.failure = self._refused(error)

    def _refused(self, failure: object) -> PlatformError:
        return PULLS.error(failure, f"image {self._image} cannot be pulled: ")
