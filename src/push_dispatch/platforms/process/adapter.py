"""How does a run become a process on this machine? For the local runtime, and for trying out.

The directory of an attempt, named after it, is its idempotency key: see `process_attempt`.
Processes outlive the runtime that started them, and the next one takes them up again.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Any, ClassVar

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled
from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.process.attempt import CLAIM_SECONDS, Attempt
from push_dispatch.platforms.process.request import command_of, directory_of
from push_dispatch.platforms.shared import building, lost, not_configured, texts

__all__ = ["Process", "stop_all"]

log = logging.getLogger(__name__)

#: Seconds between asking a process to stop and killing it, as in ECS unless configured.
GRACE_SECONDS = 30

Event = dict[str, Any]


class Process:
    """Starts, watches and stops processes. Settings: `PUSH_DISPATCH_PROCESS_DIR`, where attempts
    are kept, and `PUSH_DISPATCH_PROCESS_GRACE`, seconds between SIGTERM and SIGKILL."""

    name: ClassVar[str] = "process"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]

    def __init__(self, environ: Mapping[str, str]) -> None:
        folder = environ.get("PUSH_DISPATCH_PROCESS_DIR")
        self._folder = Path(folder).absolute() if folder else None
        self._grace = float(environ.get("PUSH_DISPATCH_PROCESS_GRACE") or GRACE_SECONDS)
        self._tell: Callable[[Event], object] | None = None
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._watched: set[str] = set()
        self._lock = Lock()

    # -- the platform -----------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """Start the attempt's process. See `Platform.push`; the handle is the job's name."""
        with building():
            command, cwd = command_of(job), directory_of(job)
            own = texts(job.configuration.get("env"))
        attempt = self._attempt(job.name)
        if not attempt.taken:
            env = {**_own_environment(), **own}
            _check_executable(command[0], env, cwd)
            try:
                attempt.prepare(job.run_id, job.attempt)
                child = attempt.start(command, env, cwd)
            except OSError as error:
                raise _not_started(error) from error
            with self._lock:
                self._children[job.name] = child
            if not _wait_until_taken(attempt, child):
                raise Throttled("the process cannot be started: its folder cannot be written")
        self._watch(attempt)
        return job.name

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`."""
        return [self._attempt(job.handle).observe() or lost(job) for job in jobs]

    def cancel(self, handle: str) -> None:
        """SIGTERM now, SIGKILL after the grace period, to the whole process group, whose end is the
        attempt's. See `Platform.cancel`."""
        attempt = self._attempt(handle)
        attempt.terminate()
        if attempt.group() is not None:
            self._kill_later(attempt)

    def find(self, job: Job) -> str | None:
        """See `FindsByName.find`."""
        return job.name if self._attempt(job.name).taken else None

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs.logs`."""
        return self._attempt(handle).lines()

    def parse(self, event: Mapping[str, Any]) -> Observation | None:
        """See `ReportsEvents.parse`: the events that `watch` tells."""
        if event.get("source") != "push-dispatch.process":
            return None
        try:
            detail = dict(event["detail"])
            return Observation(**detail | {"status": Status(detail["status"])})
        except (KeyError, ValueError, TypeError):
            return None

    # -- events -----------------------------------------------------------------------------------

    def watch(self, tell: Callable[[Event], object]) -> None:
        """From now on tell of each attempt that it runs, and that it has ended; also of those that
        an earlier process has started and whose end was not told. `tell` is called from threads;
        an end that it raises on is told again after a restart, and seen by the next look."""
        self._tell = tell
        if self._folder is not None:
            for attempt in map(Attempt, _entries(self._folder)):
                # What is not taken may still be pushed.
                if attempt.taken:
                    self._watch(attempt)

    @property
    def watched(self) -> int:
        """How many attempts are watched: they run, or their end was not told yet."""
        with self._lock:
            return len(self._watched)

    # -- what is left on the disk -------------------------------------------------------------

    def forget(self, before: float) -> int:
        """Delete what is left of attempts whose end was told before this time, in epoch seconds;
        return how many they were."""
        kept = map(Attempt, _entries(self._folder) if self._folder else ())
        return sum(attempt.forget(before) for attempt in kept)

    def bound_logs(self, most: int) -> None:
        """Keep the logs of what runs within so many bytes."""
        with self._lock:
            running = list(self._watched)
        for name in running:
            self._attempt(name).bound_log(most)

    # -- details of watching ----------------------------------------------------------------------

    def _watch(self, attempt: Attempt) -> None:
        with self._lock:
            if self._tell is None or attempt.name in self._watched or attempt.reported:
                return
            self._watched.add(attempt.name)
        Thread(target=self._follow, args=(attempt,), name=attempt.name, daemon=True).start()

    def _follow(self, attempt: Attempt) -> None:
        try:
            self._until_running(attempt)
            if attempt.stopping:
                self._kill_later(attempt)
            self._until_ended(attempt)
            ended = attempt.observe()
            if ended is not None and self._announced(ended):
                attempt.mark_reported(ended)
        finally:
            with self._lock:
                self._watched.discard(attempt.name)
                self._children.pop(attempt.name, None)

    def _until_running(self, attempt: Attempt) -> None:
        child = self._children.get(attempt.name)
        pause = 0.001
        while (seen := attempt.observe()) is not None and seen.status is Status.STARTING:
            if child is None:
                pause = min(0.2, pause * 2)
            _wait_for(child, pause)
        if seen is not None and seen.status is Status.RUNNING:
            self._announced(seen)

    def _until_ended(self, attempt: Attempt) -> None:
        child = self._children.get(attempt.name)
        if child is not None:
            child.wait()
        # A child of an earlier runtime, or a second wrapper's neighbour. Looked at and not waited
        # for: whoever has adopted it may never reap it.
        pause = 0.01
        while attempt.process() is not None or attempt.lingers():
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def _announced(self, seen: Observation) -> bool:
        if self._tell is None:
            return False
        try:
            self._tell(_event(seen))
        except Exception:
            log.exception("the state of %s was not taken", seen.handle)
            return False
        return True

    # -- details ----------------------------------------------------------------------------------

    def _attempt(self, name: str) -> Attempt:
        if self._folder is None:
            raise not_configured(
                "PUSH_DISPATCH_PROCESS_DIR is not set: processes are started by a local runtime"
            )
        return Attempt(self._folder / Path(name).name)

    def _kill_later(self, attempt: Attempt) -> None:
        timer = Timer(self._grace, attempt.kill)
        timer.daemon = True
        timer.start()


def stop_all(folder: Path, grace: float = 2) -> None:
    """Stop every process that runs: asked first, killed after the grace period in seconds."""
    running = [attempt for attempt in map(Attempt, _entries(folder)) if _may_run(attempt)]
    for attempt in running:
        attempt.terminate()
    deadline = time.monotonic() + grace
    # Asked, not waited for: an orphan whose adoptive parent never reaps it stays a zombie.
    while any(_may_run(attempt) for attempt in running) and time.monotonic() < deadline:
        time.sleep(0.01)
    for attempt in running:
        attempt.kill()


def _may_run(attempt: Attempt) -> bool:
    """Also one that was taken a moment ago, whose process is not known yet."""
    seen = attempt.observe() if attempt.taken else None
    return seen is not None and seen.status in (Status.STARTING, Status.RUNNING)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _wait_for(child: subprocess.Popen[bytes] | None, seconds: float) -> None:
    if child is None:
        time.sleep(seconds)
        return
    with suppress(subprocess.TimeoutExpired):
        child.wait(seconds)


def _wait_until_taken(attempt: Attempt, child: subprocess.Popen[bytes]) -> bool:
    """A millisecond or two: what `push` returns, `find` finds. False if the wrapper has ended and
    could not take it."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while not attempt.taken and child.poll() is None and time.monotonic() < deadline:
        _wait_for(child, 0.001)
    return attempt.taken or child.poll() is None


def _check_executable(command: str, env: Mapping[str, str], cwd: Path) -> None:
    """Before it is started, for the clear error; afterwards it would be exit code 127. The message
    does not quote the command: a secret may be in it."""
    path = str(cwd / command) if os.sep in command else command
    if shutil.which(path, path=env.get("PATH")) is None:
        where = "the working directory" if os.sep in command else "the PATH"
        raise Rejected(
            f"the command does not exist here: its first word is no executable file of {where}",
            reason=Reason.COMMAND_NOT_FOUND,
        )


def _not_started(error: OSError) -> PlatformError:
    """Return the error of a process that could not be made."""
    match error.errno:
        case errno.E2BIG:
            return Rejected(
                "the command and the environment are too long for the system: put large values "
                "into a file or a secret",
                reason=Reason.OVERRIDES_TOO_LONG,
            )
        case errno.ENOSPC | errno.EDQUOT:
            return NoCapacity(f"the disk of PUSH_DISPATCH_PROCESS_DIR is full: {error}")
        case errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTDIR:
            return not_configured(f"PUSH_DISPATCH_PROCESS_DIR cannot be written: {error}")
        case _:
            # Out of processes or memory: an executable that cannot be run exits with 126.
            return Throttled(f"the process cannot be started: {error}")


def _own_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PUSH_DISPATCH_")}


def _event(seen: Observation) -> Event:
    return {
        "source": "push-dispatch.process",
        "detail-type": "Process State Change",
        "detail": asdict(seen) | {"status": seen.status.value},
    }
