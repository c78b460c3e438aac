"""Is an attempt started once, whatever gets lost on the way?"""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from push_dispatch.core.errors import NoCapacity, Rejected, Throttled, Uncertain
from push_dispatch.platforms.base import Job, Platform
from push_dispatch.platforms.capabilities import finder
from push_dispatch.testing.platform_fake import PlatformFake, settle
from push_dispatch.testing.platform_suite import PlatformSuite

__all__ = ["PushContract"]

#: Requests that the push of any platform stays below; the lost reply is tried at each of them. How
#: many a push takes is seen only when it is done, so some of the faults are never met.
_CALLS = 8


class PushContract(PlatformSuite):
    """The promises of `push` and `find`."""

    # -- push ------------------------------------------------------------------------------------

    def test_push_starts_one_and_returns_a_handle_that_can_be_stored(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        assert isinstance(handle, str)
        assert 0 < len(handle) <= 300
        assert handle.isprintable()
        assert fake.starts(job.name) == 1

    def test_same_name_twice_is_one_start(self, platform: Platform, fake: PlatformFake) -> None:
        job = self.make_job(1)
        assert platform.push(job) == platform.push(job)
        assert fake.starts(job.name) == 1

    def test_same_name_from_another_process_is_one_start(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        assert platform.push(job) == self.connect(fake).push(job)
        assert fake.starts(job.name) == 1

    def test_same_name_after_its_end_is_one_start(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        fake.begin(job.name)
        fake.finish(job.name, 0)
        assert platform.push(job) == handle
        assert fake.starts(job.name) == 1

    def test_two_names_are_two_starts(self, platform: Platform, fake: PlatformFake) -> None:
        one, two = self.make_job(1), self.make_job(2)
        assert platform.push(one) != platform.push(two)
        assert [fake.starts(one.name), fake.starts(two.name)] == [1, 1]

    def test_another_attempt_is_another_start(self, platform: Platform, fake: PlatformFake) -> None:
        one, two = self.make_job(1), _next_attempt(self.make_job(1))
        assert platform.push(one) != platform.push(two)
        assert [fake.starts(one.name), fake.starts(two.name)] == [1, 1]

    def test_configuration_is_left_alone_and_asks_for_the_same_twice(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        before = copy.deepcopy(job.configuration)
        platform.push(job)
        self.connect(fake).push(job)
        assert job.configuration == before
        sent = {json.dumps(request, sort_keys=True) for request in fake.requests(job.name)}
        assert len(sent) == 1

    def test_environment_reaches_the_job(self, platform: Platform, fake: PlatformFake) -> None:
        wanted = {
            "GREETING": "grüß dich, \"du\" $HOME 'da'",
            "EMPTY": "",
            "PUSH_DISPATCH_RUN_ID": "x",
        }
        job = self.make_job(1, env=wanted)
        platform.push(job)
        seen = fake.environment(job.name)
        assert {name: seen.get(name) for name in wanted} == wanted

    # -- a reply that never comes ----------------------------------------------------------------

    @pytest.mark.parametrize("call", range(_CALLS))
    def test_lost_reply_is_one_start(
        self, platform: Platform, fake: PlatformFake, call: int
    ) -> None:
        job = self.make_job(1)
        before = fake.calls()
        fake.lose_reply(call)
        handle = settle(platform, job)
        assert fake.starts(job.name) == 1
        if fake.calls() - before > call:
            assert platform.push(job) == handle
            assert fake.starts(job.name) == 1
        # Else the push takes fewer calls, and the fault still waits for its own.
        assert fake.calls() > before

    @pytest.mark.parametrize("call", range(_CALLS))
    def test_two_lost_replies_are_one_start(
        self, platform: Platform, fake: PlatformFake, call: int
    ) -> None:
        job = self.make_job(1)
        fake.lose_reply(call)
        fake.lose_reply(call + 1)
        settle(platform, job)
        assert fake.starts(job.name) == 1

    @pytest.mark.parametrize("call", range(_CALLS))
    def test_lost_reply_settled_by_another_process_is_one_start(
        self, platform: Platform, fake: PlatformFake, call: int
    ) -> None:
        job = self.make_job(1)
        fake.lose_reply(call)
        try:
            platform.push(job)
        except Exception:  # noqa: BLE001 - as in `settle`
            other = self.connect(fake)
            finds = finder(other)
            found = finds.find(job) if finds else None
            assert found or other.push(job)
        assert fake.starts(job.name) == 1

    def test_find_adopts_only_what_was_started(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        if (finds := finder(platform)) is None:
            pytest.skip("finds nothing by name")
        job = self.make_job(1)
        assert finds.find(job) is None
        assert fake.starts(job.name) == 0
        handle = platform.push(job)
        assert finds.find(job) == handle
        assert finds.find(self.make_job(2)) is None
        fake.begin(job.name)
        fake.finish(job.name, 0)
        assert finds.find(job) == handle
        assert fake.starts(job.name) == 1

    # -- a platform that says no, or nothing -----------------------------------------------------

    def test_throttled_push_starts_one_when_sent_again(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        job = self.make_job(1)
        fake.throttle_next()
        with pytest.raises(Throttled):
            platform.push(job)
        assert fake.starts(job.name) == 0
        platform.push(job)
        assert fake.starts(job.name) == 1

    def test_push_to_an_unreachable_platform_is_never_final(self) -> None:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - anything counts as Uncertain
            self.disconnected().push(self.make_job(1))
        assert not isinstance(caught.value, Rejected | NoCapacity)

    def test_find_on_an_unreachable_platform_is_uncertain(self) -> None:
        if (finds := finder(self.disconnected())) is None:
            pytest.skip("finds nothing by name")
        with pytest.raises((Uncertain, Throttled)):
            finds.find(self.make_job(1))


def _next_attempt(job: Job) -> Job:
    name = f"{job.name.rpartition('-')[0]}-{job.attempt + 1}"
    return replace(job, name=name, attempt=job.attempt + 1)
