"""How are the promises of `sign_in` kept where the access tokens come from Google?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from push_dispatch.core.errors import Throttled, Uncertain
from push_dispatch.platforms.base import Platform, SignsIn
from push_dispatch.testing.platform_sign_in import SignInContract

NOWHERE = "http://127.0.0.1:1"


class GoogleSignIn(SignInContract):
    """The service itself is not asked, so it is Google and AWS STS that throttle or say nothing."""

    def service(self, environ: Mapping[str, str]) -> Platform:
        raise NotImplementedError

    def with_credentials(self, fake: Any) -> Platform:
        return self.federated(fake)

    def without_credentials(self, fake: Any) -> Platform:
        return self.service({})

    def federated(self, fake: Any, **more: str) -> Any:
        platform = self.service(fake.environ() | fake.google.federation(**more))
        assert isinstance(platform, SignsIn)
        return platform

    @pytest.mark.parametrize("who", ["AWS_ENDPOINT_URL_STS", "PUSH_DISPATCH_GOOGLE_STS_ENDPOINT"])
    def test_sign_in_at_an_unreachable_platform_is_never_final(self, fake: Any, who: str) -> None:
        with pytest.raises(Uncertain) as caught:
            self.federated(fake, **{who: NOWHERE}).sign_in()
        assert caught.value.reason == "platform_unavailable"

    def test_sign_in_at_a_throttling_platform_is_never_final(
        self, platform: Platform, fake: Any
    ) -> None:
        federated = self.federated(fake)
        fake.google.throttle_next()
        with pytest.raises(Throttled):
            federated.sign_in()
        federated.sign_in()

    @pytest.mark.parametrize("call", [0, 1])
    def test_sign_in_that_is_not_answered_is_never_final(
        self, platform: Platform, fake: Any, call: int
    ) -> None:
        fake.google.lose_reply(call)
        with pytest.raises(Uncertain):
            self.federated(fake).sign_in()

    def test_sign_in_asks_the_service_nothing(self, fake: Any) -> None:
        self.federated(fake).sign_in()
        assert fake.google.paths == ["GetWebIdentityToken", "/v1/token"]
        assert fake.calls() == 0

    def test_sign_in_is_none_where_nobody_signs_in(self, platform: Platform) -> None:
        """An emulator on loopback."""
        assert isinstance(platform, SignsIn)
        assert "nothing to check: http://127.0.0.1:" in platform.sign_in()
