"""Is an attempt seen as it is, and stopped when asked?"""

from __future__ import annotations

import json

import pytest

from push_dispatch.core.errors import Throttled, Uncertain
from push_dispatch.platforms.base import Platform, Status, Watched
from push_dispatch.testing.platform_fake import PlatformFake, eventually
from push_dispatch.testing.platform_suite import PlatformSuite

__all__ = ["LifeContract"]


class LifeContract(PlatformSuite):
    """The promises of `observe` and `cancel`."""

    # -- observe ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("exit_code", [0, 3])
    def test_observe_follows_the_attempt_to_its_exit_code(
        self, platform: Platform, fake: PlatformFake, exit_code: int
    ) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        assert self.see(platform, job, handle).status in {Status.STARTING, Status.RUNNING}
        fake.begin(job.name)
        eventually(lambda: self.see(platform, job, handle).status is Status.RUNNING)
        fake.finish(job.name, exit_code)
        eventually(lambda: self.see(platform, job, handle).status is Status.ENDED)
        end = self.see(platform, job, handle)
        assert (end.exit_code, end.reason) == (exit_code, None)

    def test_handle_is_good_in_another_process(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        handle = json.loads(json.dumps(platform.push(job)))
        fake.begin(job.name)
        fake.finish(job.name, 0)
        eventually(lambda: self.see(self.connect(fake), job, handle).status is Status.ENDED)
        self.connect(fake).cancel(handle)

    def test_observe_answers_for_each_attempt(self, platform: Platform, fake: PlatformFake) -> None:
        jobs = [self.make_job(n) for n in range(3)]
        watched = [Watched(platform.push(job), job.run_id, job.attempt) for job in jobs]
        gone = Watched(self.unknown_handle(fake), self.make_job(9).run_id, 4)
        seen = {(o.run_id, o.attempt): o for o in platform.observe([gone, *watched])}
        assert set(seen) == {(w.run_id, w.attempt) for w in [gone, *watched]}
        assert seen[gone.run_id, 4].status is Status.LOST
        assert all(seen[w.run_id, w.attempt].status is not Status.LOST for w in watched)

    def test_a_handle_that_cannot_be_read_loses_that_attempt_only(self, platform: Platform) -> None:
        job = self.make_job(1)
        watched = Watched(platform.push(job), job.run_id, job.attempt)
        broken = Watched("nonsense", self.make_job(9).run_id, 1)
        seen = {o.run_id: o.status for o in platform.observe([broken, watched])}
        assert seen[broken.run_id] is Status.LOST
        assert seen[job.run_id] is not Status.LOST
        platform.cancel(broken.handle)

    def test_observe_of_nothing_is_nothing(self, platform: Platform) -> None:
        assert platform.observe([]) == []

    def test_observe_of_an_unreachable_platform_concludes_nothing(self, platform: Platform) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        assert self.see(self.disconnected(), job, handle).status is Status.UNKNOWN

    def test_observe_of_a_throttling_platform_concludes_nothing(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        fake.throttle_next()
        assert self.see(platform, job, handle).status is Status.UNKNOWN

    # -- cancel ----------------------------------------------------------------------------------

    def test_cancel_ends_a_running_attempt(self, platform: Platform, fake: PlatformFake) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        fake.begin(job.name)
        platform.cancel(handle)
        platform.cancel(handle)
        ends = {Status.ENDED, Status.LOST}
        eventually(lambda: self.see(platform, job, handle).status in ends)
        platform.cancel(handle)

    def test_cancel_ends_an_attempt_that_is_starting(self, platform: Platform) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        platform.cancel(handle)
        ends = {Status.ENDED, Status.LOST}
        eventually(lambda: self.see(platform, job, handle).status in ends)

    def test_cancel_leaves_a_finished_attempt_as_it_is(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        fake.begin(job.name)
        fake.finish(job.name, 3)
        platform.cancel(handle)
        end = self.see(platform, job, handle)
        assert (end.status, end.exit_code, end.reason) == (Status.ENDED, 3, None)

    def test_cancel_of_an_unknown_attempt_is_silent(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        platform.cancel(self.unknown_handle(fake))

    def test_cancel_on_an_unreachable_platform_says_so(self, platform: Platform) -> None:
        handle = platform.push(self.make_job(1))
        with pytest.raises((Uncertain, Throttled)):
            self.disconnected().cancel(handle)
