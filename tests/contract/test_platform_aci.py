from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.aci import ERRORS, Aci
from push_dispatch.platforms.refusals import judge
from push_dispatch.testing.platform_contract import PlatformContract
from tests.contract.aci_suite import AciSuite
from tests.fakes.aci import FakeAci
from tests.fakes.aci_service import failure, quota_reached, transitioning
from tests.fakes.rest_server import Answer


class TestAci(AciSuite, PlatformContract):
    """A group of several tests: the contract of all platforms."""

    def without_credentials(self, fake: FakeAci) -> Aci:
        return Aci({**fake.environ(), "AZURE_CLIENT_ID": ""})

    # It is Microsoft Entra that is asked: see TestSignIn in test_platform_aci_push.py.
    test_sign_in_at_a_throttling_platform_is_never_final: Any = None
    test_sign_in_that_is_not_answered_is_never_final: Any = None


NOT_HERE = (
    "The requested resource with '4' CPU and '16' GB memory is not available in the location"
    " 'westeurope' at this moment."
)
GPUS = quota_reached("V100Cores", 0)
QUOTA = quota_reached("StandardCores", 10)
HTML = Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
#: The answers to the PUT that Azure documents, with what the push makes of them.
DOCUMENTED = [
    (transitioning("pd-1"), Uncertain, "platform_throttled"),
    (GPUS, Rejected, "platform_rejected"),
    (QUOTA, NoCapacity, "no_capacity"),
    (Answer(400, QUOTA.body), NoCapacity, "no_capacity"),
    (
        failure(409, "ResourceGroupBeingDeleted", "The group 'x' is in deprovisioning state."),
        Rejected,
        "platform_rejected",
    ),
    (failure(409, "ServiceUnavailable", NOT_HERE), NoCapacity, "no_capacity"),
    (
        failure(409, "RegistryErrorResponse", "An error response is received from the registry."),
        NoCapacity,
        "registry_unavailable",
    ),
    (
        failure(400, "InaccessibleImage", "The image 'x' is not accessible."),
        Rejected,
        "image_pull_failed",
    ),
    (
        failure(400, "InvalidImageRegistryCredential", "The credential is invalid."),
        Rejected,
        "image_pull_failed",
    ),
    (
        failure(400, "InvalidImageRegistryCredentialType", "Identity is not supported."),
        Rejected,
        "image_pull_failed",
    ),
    (
        failure(400, "OsVersionNotSupported", "The OS version of image 'x' is not supported."),
        Rejected,
        "image_pull_failed",
    ),
    (
        failure(409, "MissingSubscriptionRegistration", "The subscription is not registered."),
        Rejected,
        "platform_rejected",
    ),
    (
        failure(409, "ReadOnlyDisabledSubscription", "The subscription is disabled."),
        Rejected,
        "platform_rejected",
    ),
    (
        failure(403, "RequestDisallowedByPolicy", "Resource was disallowed by policy."),
        Rejected,
        "platform_rejected",
    ),
    (failure(409, "ScopeLocked", "The scope is locked."), Rejected, "platform_rejected"),
    (failure(403, "AuthorizationFailed", "has no authorization"), Rejected, "access_denied"),
    (failure(403, "LinkedAuthorizationFailed", "no join/action"), Rejected, "access_denied"),
    (failure(404, "ResourceGroupNotFound", "not found"), Rejected, "platform_rejected"),
    (failure(404, "SubscriptionNotFound", "not found"), Rejected, "platform_rejected"),
    (failure(404, "ResourceNotFound", "no such subnet"), Rejected, "platform_rejected"),
    (failure(413, "RequestEntityTooLarge", "4 MB"), Rejected, "overrides_too_long"),
    (failure(429, "TooManyRequests", "too many"), Throttled, "platform_throttled"),
    (failure(400, "InvalidParameter", "cpu is too high"), Rejected, "platform_rejected"),
    (failure(418, "Unheard", "an unknown 4xx"), Rejected, "platform_rejected"),
    (failure(409, "Unheard", "an unknown conflict"), Uncertain, "push_uncertain"),
    (failure(500, "InternalServerError", "oops"), Uncertain, "push_uncertain"),
    (failure(503, "ServiceUnavailable", "busy"), Uncertain, "push_uncertain"),
    (HTML, Uncertain, "push_uncertain"),
]


def _name(case: tuple[Answer, type[PlatformError], str]) -> str:
    answer, error, _ = case
    code = answer.body["error"]["code"] if isinstance(answer.body, dict) else "html"
    return f"{answer.status}-{code}-{error.__name__}"


class TestErrors(AciSuite):
    @pytest.mark.parametrize("case", DOCUMENTED, ids=_name)
    def test_documented_answer_has_its_reaction_and_reason(
        self, aci: Aci, fake: FakeAci, case: tuple[Answer, type[PlatformError], str]
    ) -> None:
        answer, error, reason = case
        fake.refuse_next(answer, "PUT")
        job = self.make_job(1)
        with pytest.raises(PlatformError) as caught:
            aci.push(job)
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert len(fake.requests(job.name)) == 1
        if isinstance(answer.body, dict):
            assert answer.body["error"]["message"] in caught.value.message

    def test_every_row_of_the_table_is_documented_above(self) -> None:
        texts = [
            (answer.status, f"{answer.body['error']['code']}: {answer.body['error']['message']}")
            for answer, _, _ in DOCUMENTED
            if isinstance(answer.body, dict)
        ]
        walked = {judge(ERRORS, status, text) for status, text in texts}
        never = set(ERRORS) - walked
        # A 401 is answered by signing in again, which the tests of signing in walk through.
        assert {row.status for row in never} == {(401,)}

    def test_every_reason_is_known(self) -> None:
        assert {row.reason for row in ERRORS} <= set(REASONS)
        assert all(row.remedy.endswith(".") for row in ERRORS)

    def test_location_that_may_not_be_read_is_denied(self, aci: Aci, fake: FakeAci) -> None:
        fake.refuse_next(failure(403, "AuthorizationFailed", "no read"), path="/resourcegroups/")
        job = self.make_job(1)
        with pytest.raises(Rejected, match="no read") as caught:
            aci.push(job)
        assert caught.value.reason == "access_denied"
        assert fake.starts(job.name) == 0

    def test_throttling_says_how_long(self, aci: Aci, fake: FakeAci) -> None:
        fake.throttle_next()
        with pytest.raises(Throttled) as caught:
            aci.push(self.make_job(1))
        assert caught.value.after_seconds == 17

    def test_group_that_is_just_being_created_is_adopted(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        # Another push that looked before the group was there: its PUT comes while it is created.
        fake.refuse_next(failure(404, "ResourceNotFound", "not found"), "GET")
        assert self.connect(fake).push(job) == handle
        assert [request.method for request in fake.received[-4:]] == ["GET", "GET", "PUT", "GET"]
        assert fake.starts(job.name) == 1

    def test_second_put_would_start_the_run_again(self, aci: Aci, fake: FakeAci) -> None:
        """What the look before the PUT is for, and that the fake would show it."""
        job = self.make_job(1)
        aci.push(job)
        fake.begin(job.name)
        fake.refuse_next(failure(404, "ResourceNotFound", "not found"), "GET")
        self.connect(fake).push(job)
        assert fake.starts(job.name) == 2

    def test_server_error_is_not_repeated_by_the_sdk(self, aci: Aci, fake: FakeAci) -> None:
        for _ in range(3):
            fake.refuse_next(failure(503, "ServiceUnavailable", "busy"), "PUT")
        with pytest.raises(Uncertain):
            aci.push(self.make_job(1))
        assert [request.method for request in fake.received].count("PUT") == 1

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_slow_answer_is_given_up_and_looked_up(self, fake: FakeAci, method: str) -> None:
        impatient = Aci(fake.environ(), read_seconds=2)
        impatient.push(self.make_job(1))  # now it is signed in and knows the location
        job = self.make_job(2)
        fake.slow_next(method, 30)
        with pytest.raises(Uncertain) as caught:
            impatient.push(job)
        assert caught.value.reason == "push_uncertain"
        assert fake.starts(job.name) == (method == "PUT")
        assert (impatient.find(job) is not None) == (method == "PUT")

    def test_group_of_somebody_else_is_left_alone(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1)
        aci.push(job)
        fake.groups[job.name].body["tags"] = {"owner": "somebody else"}
        with pytest.raises(Rejected, match="another owner"):
            aci.push(job)
        with pytest.raises(Uncertain, match="another owner"):
            aci.find(job)
        assert fake.starts(job.name) == 1

    def test_gone_is_told_from_refused(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1)
        handle = aci.push(job)
        refusal = failure(403, "AuthorizationFailed", "no authorization")
        fake.refuse_next(refusal)
        assert self.see(aci, job, handle).status == "UNKNOWN"
        fake.refuse_next(refusal)
        with pytest.raises(Uncertain):
            aci.find(job)
        fake.refuse_next(refusal)
        with pytest.raises(Uncertain):
            aci.cancel(handle)
        elsewhere = handle.replace("/runs/", "/deleted/")
        assert self.see(aci, job, elsewhere).status == "LOST"
        aci.cancel(elsewhere)
        aci.clean_up(elsewhere)
        assert list(aci.logs(elsewhere)) == []

    def test_full_region_is_no_capacity_until_something_is_cleaned_up(
        self, aci: Aci, fake: FakeAci
    ) -> None:
        fake.quota = 1
        first, second = self.make_job(1), self.make_job(2)
        handle = aci.push(first)
        fake.finish(first.name, 0)
        with pytest.raises(NoCapacity):
            aci.push(second)
        aci.clean_up(handle)
        aci.push(second)
        assert fake.leftovers() == [second.name]

    def test_deletion_under_way_is_asked_for_later(self, aci: Aci, fake: FakeAci) -> None:
        fake.linger = True
        job = self.make_job(1)
        handle = aci.push(job)
        fake.finish(job.name, 0)
        aci.clean_up(handle)
        with pytest.raises(Throttled):
            aci.clean_up(handle)
        fake.reap()
        aci.clean_up(handle)
        assert fake.leftovers() == []
