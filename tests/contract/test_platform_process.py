"""Does the process platform keep its promises, with real processes and no fake at all?"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled
from push_dispatch.platforms.base import Job, Platform, Status
from push_dispatch.platforms.process import Process
from push_dispatch.platforms.process.attempt import Attempt
from push_dispatch.testing.platform_contract import PlatformContract, eventually, settle
from tests.fakes.processes import KILLED, Processes, push_until
from tests.forks import PROCESSES

#: System calls with which a push begins; a runtime is killed at each of them.
_STEPS = 40


class TestProcess(PlatformContract):
    platform_type = "process"

    @pytest.fixture
    def fake(self) -> Iterator[Processes]:
        with Processes() as processes:
            self._processes = processes
            yield processes

    def connect(self, fake: Processes) -> Platform:
        process = Process(fake.environ)
        process.watch(fake.heard.append)
        return process

    def unknown_handle(self, fake: Processes) -> str:
        return "pd-never-was-1"

    def make_job(self, n: int, **configuration: Any) -> Job:
        return super().make_job(n, **{"command": self._processes.command} | configuration)

    # -- what a wire would do, done by killing the runtime ----------------------------------------

    @pytest.mark.parametrize("call", range(0, _STEPS, 4))
    def test_lost_reply_is_one_start(self, platform: Platform, fake: Any, call: int) -> None:
        self._killed_at(fake, range(call, call + 4))

    def _killed_at(self, fake: Processes, steps: range) -> None:
        """Settled by another process each time."""
        for number, step in enumerate(steps):
            job = self.make_job(100 + number)
            _push_and_die(fake, job, step)
            other = self.connect(fake)
            handle = settle(other, job)
            eventually(lambda o=other, j=job, h=handle: self.see(o, j, h).status is Status.RUNNING)  # type: ignore[misc]
            assert fake.starts(job.name) == 1
            assert other.push(job) == handle
            assert fake.starts(job.name) == 1

    @pytest.mark.parametrize("call", [0, 9, 17])
    def test_two_lost_replies_are_one_start(self, platform: Platform, fake: Any, call: int) -> None:
        job = self.make_job(1)
        for step in (call, call + 9, _STEPS):
            _push_and_die(fake, job, step)
        settle(self.connect(fake), job)
        assert fake.starts(job.name) == 1

    # -- what there is no such thing as: nobody throttles the kernel, it is always reachable -------

    test_lost_reply_settled_by_another_process_is_one_start: Any = None
    test_throttled_push_starts_one_when_sent_again: Any = None
    test_push_to_an_unreachable_platform_is_never_final: Any = None
    test_find_on_an_unreachable_platform_is_uncertain: Any = None
    test_observe_of_an_unreachable_platform_concludes_nothing: Any = None
    test_observe_of_a_throttling_platform_concludes_nothing: Any = None
    test_cancel_on_an_unreachable_platform_says_so: Any = None
    test_sign_in_at_an_unreachable_platform_is_never_final: Any = None

    # -- its own ----------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("configuration", "reason", "words"),
        [
            ({"command": ""}, "platform_rejected", "no command"),
            ({"command": "echo 'open"}, "template_invalid", "cannot be split"),
            ({"command": {"a": 1}}, "template_invalid", "neither a text nor a list"),
            ({"env": ["A=1"]}, "template_invalid", "env is not an object"),
            ({"env": {"BIG": "x" * 200_000}}, "overrides_too_long", "too long"),
            ({"command": "no-such-command-here"}, "command_not_found", "does not exist"),
            ({"working_dir": "/nowhere/at/all"}, "platform_rejected", "no directory"),
        ],
    )
    def test_each_refusal_has_its_reason(
        self,
        platform: Platform,
        fake: Processes,
        configuration: dict[str, Any],
        reason: str,
        words: str,
    ) -> None:
        job = self.make_job(1, **configuration)
        with pytest.raises(Rejected, match=words) as caught:
            platform.push(job)
        assert caught.value.reason == reason
        assert fake.leftovers() == []
        assert "no-such-command-here" not in caught.value.message, "a secret may be in it"

    def test_outside_a_local_runtime_it_says_so(self, fake: Processes) -> None:
        with pytest.raises(Rejected) as caught:
            Process({}).push(self.make_job(1))
        assert caught.value.reason == "platform_not_configured"

    def test_one_that_ignores_the_order_is_killed(self, fake: Processes) -> None:
        environ = fake.environ | {"PUSH_DISPATCH_PROCESS_GRACE": "0.2"}
        stubborn = (
            "import signal, time; signal.signal(15, signal.SIG_IGN); "
            "print(1, flush=True); time.sleep(60)"
        )
        platform = Process(environ)
        platform.watch(fake.heard.append)
        job = self.make_job(1, command=f'{sys.executable} -c "{stubborn}"')
        handle = platform.push(job)
        eventually(lambda: list(platform.logs(handle)) == ["1"])
        platform.cancel(handle)
        eventually(lambda: self.see(platform, job, handle).status is Status.ENDED)
        assert self.see(platform, job, handle).exit_code == 137

    def test_cancelled_means_that_the_whole_group_is_gone(
        self, fake: Processes, tmp_path: Path
    ) -> None:
        """The leader dies of SIGTERM, its child ignores it."""
        platform = Process(fake.environ | {"PUSH_DISPATCH_PROCESS_GRACE": "0.3"})
        platform.watch(fake.heard.append)
        child = tmp_path / "child"
        script = f"(trap '' TERM; echo $$ > /dev/null; exec sleep 600) & echo $! > {child}; wait"
        job = self.make_job(1, command=["sh", "-c", script])
        handle = platform.push(job)
        eventually(lambda: child.exists() and child.read_text().strip() != "")
        stubborn = psutil.Process(int(child.read_text()))
        eventually(lambda: stubborn.name() == "sleep")
        attempt = Attempt(fake.attempts / job.name)
        platform.cancel(handle)
        eventually(lambda: attempt.process() is None)
        first = self.see(platform, job, handle)
        assert first.status is Status.RUNNING or not _runs(stubborn), "its slot is not free yet"
        eventually(lambda: self.see(platform, job, handle).status is Status.ENDED)
        assert not _runs(stubborn)

    def test_a_restarted_runtime_ends_what_the_last_one_had_begun_to_stop(
        self, fake: Processes, tmp_path: Path
    ) -> None:
        child = tmp_path / "child"
        script = f"(trap '' TERM; exec sleep 600) & echo $! > {child}; wait"
        job = self.make_job(1, command=["sh", "-c", script])
        first = Process(fake.environ)
        handle = first.push(job)
        eventually(lambda: child.exists() and child.read_text().strip() != "")
        stubborn = psutil.Process(int(child.read_text()))
        eventually(lambda: stubborn.name() == "sleep")
        Attempt(fake.attempts / job.name).terminate()
        other = Process(fake.environ | {"PUSH_DISPATCH_PROCESS_GRACE": "0.1"})
        other.watch(fake.heard.append)
        eventually(lambda: self.see(other, job, handle).status is Status.ENDED)
        assert not _runs(stubborn)
        first._children[job.name].wait(60)

    def test_what_a_finished_command_leaves_behind_is_its_own_affair(
        self, platform: Platform, fake: Processes, tmp_path: Path
    ) -> None:
        child = tmp_path / "child"
        job = self.make_job(1, command=["sh", "-c", f"sleep 600 & echo $! > {child}"])
        handle = platform.push(job)
        eventually(lambda: self.see(platform, job, handle).status is Status.ENDED)
        left = psutil.Process(int(child.read_text()))
        assert _runs(left)
        left.kill()

    @pytest.mark.parametrize(
        ("number", "error", "reason"),
        [
            (errno.ENOSPC, NoCapacity, "no_capacity"),
            (errno.EROFS, Rejected, "platform_not_configured"),
            (errno.EAGAIN, Throttled, "platform_throttled"),
        ],
    )
    def test_what_the_system_refuses_has_its_reason(
        self,
        platform: Platform,
        fake: Processes,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        error: type[PlatformError],
        reason: str,
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        job = self.make_job(1)
        with monkeypatch.context() as patched:
            patched.setattr(Attempt, "prepare", fail)
            with pytest.raises(error, match=os.strerror(number)) as caught:
                platform.push(job)
        assert caught.value.reason == reason
        # Once there is room, it goes on by itself.
        platform.push(job)


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _push_and_die(fake: Processes, job: Job, step: int) -> None:
    """A process of its own pushes, and is gone at its `step`-th call: open, rename, Popen…"""
    child = PROCESSES.Process(target=push_until, args=(fake.environ, job, step))
    child.start()
    child.join()
    assert child.exitcode in {0, KILLED}
