"""Does a platform tell good credentials from bad ones, and start nothing for it?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.errors import Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.capabilities import signer_in
from push_dispatch.testing.platform_fake import ChecksCredentials, PlatformFake
from push_dispatch.testing.platform_suite import PlatformSuite

__all__ = ["SignInContract"]


class SignInContract(PlatformSuite):
    """The promises of `sign_in`."""

    # -- what a subclass for a platform that signs in provides besides ---------------------------

    def without_credentials(self, fake: Any) -> Platform:
        """An instance that finds no credentials where it looks for them."""
        raise NotImplementedError

    def with_credentials(self, fake: Any) -> Platform:
        """An instance with credentials, if those that `connect` makes have none."""
        return self.connect(fake)

    # -- the promises ----------------------------------------------------------------------------

    def test_sign_in_says_as_whom_and_where_and_starts_nothing(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        if signer_in(platform) is None:
            pytest.skip("signs in nowhere")
        message = _check(self.with_credentials(fake))
        assert 0 < len(message) <= 300
        assert message.isprintable()
        assert fake.leftovers() == []

    def test_sign_in_with_credentials_that_are_refused_is_final(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        """Also for an instance that was signed in before."""
        if signer_in(platform) is None:
            pytest.skip("signs in nowhere")
        assert isinstance(fake, ChecksCredentials)
        warm = self.with_credentials(fake)
        _check(warm)
        fake.revoke()
        for instance in (warm, self.with_credentials(fake)):
            with pytest.raises(Rejected) as caught:
                _check(instance)
            assert caught.value.reason == Reason.ACCESS_DENIED
        assert fake.leftovers() == []

    def test_sign_in_without_credentials_is_final(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        if signer_in(platform) is None:
            pytest.skip("signs in nowhere")
        with pytest.raises(Rejected) as caught:
            _check(self.without_credentials(fake))
        assert caught.value.reason == Reason.CREDENTIALS_MISSING
        assert fake.leftovers() == []

    def test_sign_in_at_an_unreachable_platform_is_never_final(self) -> None:
        if (signs_in := signer_in(self.disconnected())) is None:
            pytest.skip("signs in nowhere")
        with pytest.raises((Uncertain, Throttled)) as caught:
            signs_in.sign_in()
        assert caught.value.reason == Reason.PLATFORM_UNAVAILABLE

    def test_sign_in_at_a_throttling_platform_is_never_final(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        if signer_in(platform) is None:
            pytest.skip("signs in nowhere")
        platform = self.with_credentials(fake)
        fake.throttle_next()
        with pytest.raises((Throttled, Uncertain)):
            _check(platform)
        _check(platform)

    def test_sign_in_that_is_not_answered_is_never_final(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        if signer_in(platform) is None:
            pytest.skip("signs in nowhere")
        platform = self.with_credentials(fake)
        fake.lose_reply()
        with pytest.raises((Throttled, Uncertain)):
            _check(platform)
        assert fake.leftovers() == []


def _check(platform: Platform) -> str:
    signs_in = signer_in(platform)
    assert signs_in is not None
    return signs_in.sign_in()
