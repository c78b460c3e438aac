"""Does the process platform keep its promises, with real processes and no fake at all?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Job, Platform, Status
from push_dispatch.platforms.process import Process
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
            ({"command": "echo 'open"}, "platform_rejected", "cannot be split"),
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


def _push_and_die(fake: Processes, job: Job, step: int) -> None:
    """A process of its own pushes, and is gone at its `step`-th call: open, rename, Popen…"""
    child = PROCESSES.Process(target=push_until, args=(fake.environ, job, step))
    child.start()
    child.join()
    assert child.exitcode in {0, KILLED}
