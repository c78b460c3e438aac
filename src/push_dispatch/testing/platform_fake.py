"""What does the platform contract suite need of a fake, and how does it use it?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from push_dispatch.core.errors import NoCapacity, Rejected, Throttled
from push_dispatch.platforms.base import Job, Platform
from push_dispatch.platforms.capabilities import finder

__all__ = [
    "ChecksCredentials",
    "PlatformFake",
    "RecordsEvents",
    "RecordsLogs",
    "eventually",
    "settle",
]


class PlatformFake(Protocol):
    """What the suite needs of a fake: `name` is always a `Job.name`."""

    def starts(self, name: str) -> int:
        """How often user code was, or is certain to be, started for this name. The truth as the
        platform sees it: what was adopted, refused or replayed does not count."""
        ...

    def calls(self) -> int:
        """Requests to the platform's API received so far; its sign-in is left out."""
        ...

    def requests(self, name: str) -> Sequence[object]:
        """The bodies, as JSON values, of all requests that asked for this name to be started."""
        ...

    def environment(self, name: str) -> Mapping[str, str]:
        """The environment variables that the user code of this name sees."""
        ...

    def begin(self, name: str) -> None:
        """The infrastructure is up and the user code runs; nothing if it already does."""
        ...

    def finish(self, name: str, exit_code: int) -> None:
        """The user code exits with this code and the infrastructure ends."""
        ...

    def lose_reply(self, call: int = 0) -> None:
        """Carry out the `call`-th of the requests to come (0 is the next one), and break the
        connection instead of answering it. May be armed for several calls at once."""
        ...

    def throttle_next(self) -> None:
        """Answer the next request with the platform's own 'too many requests', doing nothing."""
        ...

    def leftovers(self) -> list[str]:
        """What still exists on the platform and counts against a quota, of any name."""
        ...


@runtime_checkable
class RecordsLogs(Protocol):
    """What a fake of a platform that `ReadsLogs` needs besides."""

    def write_log(self, name: str, line: str) -> None:
        """The user code of this name prints a line."""
        ...


@runtime_checkable
class RecordsEvents(Protocol):
    """What a fake of a platform that `ReportsEvents` needs besides."""

    def events(self, name: str) -> Sequence[Mapping[str, Any]]:
        """The notifications sent so far about this name, oldest first, as `parse` gets them."""
        ...


@runtime_checkable
class ChecksCredentials(Protocol):
    """What a fake of a platform that `SignsIn` needs besides."""

    def revoke(self) -> None:
        """Refuse all credentials from now on, also to those who are signed in."""
        ...


def settle(platform: Platform, job: Job, tries: int = 6) -> str:
    """The handle, found the way the push use case does it: after any unclear outcome, adopt what
    `find` finds; send again only when it is sure that there is nothing, or cannot be asked at all
    because the platform promises that the same name twice starts one attempt."""
    unclear = False
    for _ in range(tries):
        try:
            if unclear and (finds := finder(platform)):
                found = finds.find(job)
                if found is not None:
                    return found
            return platform.push(job)
        except Throttled:
            continue
        except (Rejected, NoCapacity):
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it may have started something
            unclear = True
    raise AssertionError(f"{job.name} was not pushed in {tries} tries")


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return as soon as `condition()` is true; fail if it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.01)
