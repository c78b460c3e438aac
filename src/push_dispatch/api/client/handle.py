"""What can be done with a run that was submitted?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from push_dispatch.api.client.errors import RunFailed, TimedOut

if TYPE_CHECKING:
    from push_dispatch.api.client.client import Client
    from push_dispatch.core.model import RunState

__all__ = ["RunHandle"]

#: `RunState.ended`, without the model: importing the package costs next to nothing.
_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
#: The longest time that one request waits, in seconds, and for the next lines of a log.
_POLL, _NEXT_LINES = 20.0, 1.0


class RunHandle:
    """A run by its id. What it says is read when it is asked for."""

    def __init__(self, client: Client, view: dict[str, Any], *, created: bool = True) -> None:
        self._client = client
        #: The run as it was last read: the shape of `run inspect --json`.
        self.view = view
        #: Whether submitting has created it; False if its idempotency key had made it before.
        self.created = created

    def __repr__(self) -> str:
        return f"<RunHandle {self.id} {self.view['state']}>"

    @property
    def id(self) -> str:
        """Such as `etl.0199c1f0-1111-7222-8333-444455556666`."""
        return str(self.view["id"])

    @property
    def pool(self) -> str:
        """The name of its pool."""
        return str(self.view["pool"])

    @property
    def state(self) -> RunState:
        """Its state now. Raises NotFound."""
        from push_dispatch.core.model import RunState  # noqa: PLC0415 - see _ENDED

        return RunState(self.refresh().view["state"])

    @property
    def result(self) -> Any:
        """What the job has returned, after its end; None if the run leaves no result. Raises
        RunFailed unless it is COMPLETED."""
        from push_dispatch.api.client.results import (  # noqa: PLC0415 - see _ENDED
            read_result,
            result_place,
        )

        self.wait()
        if self.view["state"] != "COMPLETED":
            raise RunFailed(self.view)
        place = result_place(self.view)
        return None if place is None else read_result(place)

    def refresh(self) -> RunHandle:
        """Read it again."""
        self.view = self._client.request("GET", self._path)
        return self

    def wait(self, timeout: float | None = None) -> RunHandle:
        """Wait until it has ended, however it has. Raises TimedOut after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._ended:
            left = _POLL if deadline is None else deadline - time.monotonic()
            if left <= 0:
                problem = f"run {self.id} is {self.view['state']} after {timeout} s"
                raise TimedOut(problem)
            query = {"wait": round(min(left, _POLL), 3)}
            self.view = self._client.request("GET", self._path, query=query)
        return self

    def logs(self, *, follow: bool = False, attempt: int | None = None) -> Iterator[str]:
        """Yield the lines that it has written: those of its last attempt, or of `attempt`. With
        `follow`, those of the last attempt that this handle knows, and all that are still to come,
        until it has ended. Raises Refused (`logs_unavailable`)."""
        number, after = attempt, 0
        if follow and number is None and not self._ended:
            # Further attempts may be over before the first request.
            number = max(self._attempts, default=1)
            if number not in self._attempts and not self._await_news(number):
                return
        while True:
            query: dict[str, Any] = {"after": after}
            if number is not None:
                query["attempt"] = number
            part = self._client.request("GET", f"{self._path}/logs", query=query)
            yield from part["lines"]
            more = part["after"] > after
            number, after = part["attempt"], part["after"]
            if more:
                continue
            if not follow or self._is_over(part, attempt):
                return
            if part["complete"]:
                number, after = number + 1, 0
            if not self._await_news(number):
                return

    def cancel(self) -> RunHandle:
        """Stop it in any state. Raises Refused (`already_ended`)."""
        self.view = self._client.request("POST", f"{self._path}/cancel")
        return self

    def retry(self) -> RunHandle:
        """Submit it once more after its end, and return the new run. Raises Refused (`not_ended`).
        Idempotent."""
        done = self._client.request("POST", f"{self._path}/retry")
        return RunHandle(self._client, done["run"], created=done["created"])

    def explain(self) -> dict[str, Any]:
        """Explain why it is where it is, and what to do: the shape of `run explain --json`."""
        found: dict[str, Any] = self._client.request("GET", f"{self._path}/explain")
        return found

    def events(self) -> list[dict[str, Any]]:
        """List what has happened to it, oldest first."""
        found: list[dict[str, Any]] = self._client.request("GET", f"{self._path}/events")["items"]
        return found

    @property
    def _path(self) -> str:
        return f"/v1/pools/{self.pool}/runs/{self.id}"

    @property
    def _attempts(self) -> set[int]:
        return {each["number"] for each in self.view["attempts"]}

    @property
    def _ended(self) -> bool:
        return self.view["state"] in _ENDED

    def _is_over(self, part: dict[str, Any], attempt: int | None) -> bool:
        """Whether no further line will come."""
        if not part["complete"]:
            return False
        if attempt is not None:
            return True
        self.refresh()
        last = max(self._attempts, default=None)
        return self._ended and part["attempt"] == last

    def _await_news(self, attempt: int) -> bool:
        """Wait for a change of the run, or a moment, until the attempt has started. False if it
        never will."""
        while True:
            query = {"wait": _NEXT_LINES, "revision": self.view["revision"]}
            self.view = self._client.request("GET", self._path, query=query)
            if attempt in self._attempts:
                return True
            if self._ended:
                return False
