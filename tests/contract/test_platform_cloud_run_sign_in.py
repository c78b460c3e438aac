"""Does Google learn who we are, without a key where AWS can vouch for us?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from push_dispatch.adapters.secret_stores import system_secrets_from
from push_dispatch.core.errors import Rejected, Throttled, Uncertain
from push_dispatch.core.model import Status
from push_dispatch.platforms.cloud_run import CloudRun
from push_dispatch.ports.secrets import Secrets
from tests.contract.cloud_run_suite import NOWHERE, CloudRunSuite
from tests.fakes.cloud_run import FakeCloudRun
from tests.fakes.google_sign_in import ACCOUNT, PROVIDER, FakeGoogle
from tests.fakes.rest_server import Answer


class SignInSuite(CloudRunSuite):
    """A Cloud Run that wants to know who asks."""

    @pytest.fixture
    def google(self, fake: FakeCloudRun) -> Iterator[FakeGoogle]:
        with FakeGoogle() as google:
            fake.tokens = google.tokens
            yield google


class TestFederation(SignInSuite):
    def test_role_is_the_proof(self, fake: FakeCloudRun, google: FakeGoogle) -> None:
        cloud_run = CloudRun(fake.environ(**google.federation()))
        job = self.make_job(1)
        cloud_run.find(job)
        cloud_run.push(job)
        assert fake.starts(job.name) == 1
        assert google.paths == ["GetWebIdentityToken", "/v1/token"]

    def test_service_account_is_acted_as(self, fake: FakeCloudRun, google: FakeGoogle) -> None:
        named = google.federation(PUSH_DISPATCH_GOOGLE_SERVICE_ACCOUNT=ACCOUNT)
        cloud_run = CloudRun(fake.environ(**named))
        cloud_run.push(self.make_job(1))
        assert [path.rpartition("/")[2] for path in google.paths] == [
            "GetWebIdentityToken",
            "token",
            f"{ACCOUNT}:generateAccessToken",
        ]

    def test_token_that_is_refused_is_replaced_once(
        self, fake: FakeCloudRun, google: FakeGoogle
    ) -> None:
        cloud_run = CloudRun(fake.environ(**google.federation()))
        cloud_run.find(self.make_job(1))
        google.tokens.clear()
        job = self.make_job(1)
        cloud_run.push(job)
        assert fake.starts(job.name) == 1
        fake.tokens = set()
        before = fake.calls()
        with pytest.raises(Rejected) as caught:
            cloud_run.push(self.make_job(2))
        assert caught.value.reason == "access_denied"
        assert fake.calls() - before == 2

    def test_account_that_may_not_be_acted_as_is_denied(
        self, fake: FakeCloudRun, google: FakeGoogle
    ) -> None:
        google.may_impersonate = False
        named = google.federation(PUSH_DISPATCH_GOOGLE_SERVICE_ACCOUNT=ACCOUNT)
        with pytest.raises(Rejected, match="workloadIdentityUser") as caught:
            CloudRun(fake.environ(**named)).push(self.make_job(1))
        assert caught.value.reason == "access_denied"
        assert fake.calls() == 0

    def test_role_that_the_provider_does_not_trust_is_denied(
        self, fake: FakeCloudRun, google: FakeGoogle
    ) -> None:
        google.trusts = False
        with pytest.raises(Rejected, match="invalid_grant") as caught:
            CloudRun(fake.environ(**google.federation())).push(self.make_job(1))
        assert caught.value.reason == "access_denied"
        assert fake.calls() == 0

    def test_aws_that_issues_no_tokens_says_how_to_enable_them(
        self, fake: FakeCloudRun, google: FakeGoogle
    ) -> None:
        google.enabled = False
        cloud_run = CloudRun(fake.environ(**google.federation()))
        with pytest.raises(Rejected, match="enable-outbound-web-identity-federation") as caught:
            cloud_run.push(self.make_job(1))
        assert caught.value.reason == "access_denied"

    def test_throttled_aws_is_asked_again_later(
        self, fake: FakeCloudRun, google: FakeGoogle
    ) -> None:
        cloud_run = CloudRun(fake.environ(**google.federation()))
        google.throttle_next()
        with pytest.raises(Throttled):
            cloud_run.push(self.make_job(1))
        cloud_run.push(self.make_job(1))
        assert fake.starts(self.make_job(1).name) == 1

    def test_unreachable_aws_or_google_is_not_final(
        self, fake: FakeCloudRun, google: FakeGoogle
    ) -> None:
        nowhere = "http://127.0.0.1:1"
        for name in ("AWS_ENDPOINT_URL_STS", "PUSH_DISPATCH_GOOGLE_STS_ENDPOINT"):
            cloud_run = CloudRun(fake.environ(**google.federation(**{name: nowhere})))
            with pytest.raises(Uncertain) as caught:
                cloud_run.push(self.make_job(1))
            assert caught.value.reason == "platform_unavailable"

    def test_google_in_trouble_is_not_final(self, fake: FakeCloudRun, google: FakeGoogle) -> None:
        cloud_run = CloudRun(fake.environ(**google.federation()))
        trouble = Answer(503, {"error": "backend_error"})
        for _ in range(8):  # more often than google-auth asks by itself
            google.refuse_next(trouble, path="/v1/token")
        with pytest.raises(Uncertain) as caught:
            cloud_run.push(self.make_job(1))
        assert caught.value.reason == "platform_unavailable"

    def test_observing_without_a_token_concludes_nothing(
        self, fake: FakeCloudRun, google: FakeGoogle
    ) -> None:
        job = self.make_job(1)
        cloud_run = CloudRun(fake.environ(**google.federation()))
        handle = cloud_run.push(job)
        google.enabled = False
        stranger = CloudRun(fake.environ(**google.federation()))
        seen = self.see(stranger, job, handle)
        assert (seen.status, "STS" in (seen.message or "")) == (Status.UNKNOWN, True)


class TestKey(SignInSuite):
    def test_key_in_the_secret_store(
        self, fake: FakeCloudRun, google: FakeGoogle, tmp_path: Path
    ) -> None:
        store = tmp_path / "secrets.json"
        store.write_text(json.dumps({"google-key": google.key()}))
        environ = fake.environ(PUSH_DISPATCH_GOOGLE_KEY_NAME="google-key")
        CloudRun(environ, file_secrets(store)).push(self.make_job(1))
        assert google.paths == ["/token"]

    def test_key_in_a_file(self, fake: FakeCloudRun, google: FakeGoogle, tmp_path: Path) -> None:
        key = tmp_path / "key.json"
        key.write_text(google.key())
        CloudRun(fake.environ(GOOGLE_APPLICATION_CREDENTIALS=str(key))).push(self.make_job(1))
        assert google.paths == ["/token"]

    def test_person_who_has_signed_in(
        self, fake: FakeCloudRun, google: FakeGoogle, tmp_path: Path
    ) -> None:
        file = tmp_path / "application_default_credentials.json"
        person = {"type": "authorized_user", "client_id": "c", "client_secret": "s"}
        person |= {"refresh_token": "r", "token_uri": f"{google.url}/token"}
        file.write_text(json.dumps(person))
        google.tokens.add("of-the-person")
        answer = Answer(200, {"access_token": "of-the-person", "expires_in": 3599})
        google.refuse_next(answer, path="/token")
        CloudRun(fake.environ(GOOGLE_APPLICATION_CREDENTIALS=str(file))).push(self.make_job(1))
        assert fake.starts(self.make_job(1).name) == 1

    def test_key_of_somebody_else_is_denied(
        self, fake: FakeCloudRun, google: FakeGoogle, tmp_path: Path
    ) -> None:
        key = tmp_path / "key.json"
        key.write_text(google.key("stranger@acme-runs.iam.gserviceaccount.com"))
        with pytest.raises(Rejected, match="Invalid JWT") as caught:
            CloudRun(fake.environ(GOOGLE_APPLICATION_CREDENTIALS=str(key))).push(self.make_job(1))
        assert caught.value.reason == "access_denied"

    @pytest.mark.parametrize("text", ["hunter2", "{}", '["hunter2"]', '{"private_key": "hunter2"}'])
    def test_what_is_no_key_is_refused_and_not_shown(
        self, fake: FakeCloudRun, tmp_path: Path, text: str
    ) -> None:
        store = tmp_path / "secrets.json"
        store.write_text(json.dumps({"google-key": text}))
        environ = fake.environ(PUSH_DISPATCH_GOOGLE_KEY_NAME="google-key")
        with pytest.raises(Rejected) as caught:
            CloudRun(environ, file_secrets(store)).push(self.make_job(1))
        assert caught.value.reason == "credentials_missing"
        assert "google-key" in caught.value.message
        assert "hunter2" not in caught.value.message

    def test_missing_secret_and_missing_file_say_so(
        self, fake: FakeCloudRun, tmp_path: Path
    ) -> None:
        store = tmp_path / "secrets.json"
        store.write_text("{}")
        secret = {"PUSH_DISPATCH_GOOGLE_KEY_NAME": "google-key"}
        file = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json")}
        for more, reason in ((secret, "secret_unavailable"), (file, "credentials_missing")):
            with pytest.raises(Rejected) as caught:
                CloudRun(fake.environ(**more), file_secrets(store)).push(self.make_job(1))
            assert caught.value.reason == reason


class TestAsWhom(SignInSuite):
    """What `sign_in` says."""

    def test_the_principal_of_the_pool(self, fake: FakeCloudRun, google: FakeGoogle) -> None:
        reported = CloudRun(fake.environ(**google.federation())).sign_in()
        pool = PROVIDER.removeprefix("//iam.googleapis.com/")
        assert reported == f"signed in to Google Cloud as {pool}"

    def test_a_service_account(self, fake: FakeCloudRun, google: FakeGoogle) -> None:
        named = google.federation(PUSH_DISPATCH_GOOGLE_SERVICE_ACCOUNT=ACCOUNT)
        reported = CloudRun(fake.environ(**named)).sign_in()
        assert f"as the service account {ACCOUNT} by way of projects/" in reported
        google.may_impersonate = False
        with pytest.raises(Rejected, match="workloadIdentityUser") as caught:
            CloudRun(fake.environ(**named)).sign_in()
        assert caught.value.reason == "access_denied"

    def test_a_key(self, fake: FakeCloudRun, google: FakeGoogle, tmp_path: Path) -> None:
        store = tmp_path / "secrets.json"
        store.write_text(json.dumps({"google-key": google.key()}))
        environ = fake.environ(PUSH_DISPATCH_GOOGLE_KEY_NAME="google-key")
        cloud_run = CloudRun(environ, file_secrets(store))
        whom = f"the service account {ACCOUNT} (the key in the secret google-key)"
        assert cloud_run.sign_in() == f"signed in to Google Cloud as {whom}"
        store.write_text("{}")
        with pytest.raises(Rejected) as caught:
            cloud_run.sign_in()
        assert caught.value.reason == "secret_unavailable"

    def test_a_person(self, fake: FakeCloudRun, google: FakeGoogle, tmp_path: Path) -> None:
        file = tmp_path / "person.json"
        person = {"type": "authorized_user", "client_id": "c", "client_secret": "s"}
        person |= {"refresh_token": "hunter2", "token_uri": f"{google.url}/token"}
        file.write_text(json.dumps(person))
        google.refuse_next(Answer(200, {"access_token": "t", "expires_in": 3599}), path="/token")
        reported = CloudRun(fake.environ(GOOGLE_APPLICATION_CREDENTIALS=str(file))).sign_in()
        assert reported == f"signed in to Google Cloud as a person ({file})"


class TestEndpoint(CloudRunSuite):
    def test_nobody_signs_in_to_the_real_thing_without_credentials(self) -> None:
        # Refused before anything is sent: no name is looked up, no connection is made.
        with pytest.raises(Rejected, match="PUSH_DISPATCH_GOOGLE_AUDIENCE") as caught:
            CloudRun({}).push(self.make_job(1))
        assert caught.value.reason == "credentials_missing"

    @pytest.mark.parametrize("url", ["http://run.example.com", "run.example.com:443", "ftp://x"])
    def test_plain_http_is_for_loopback_only(self, url: str) -> None:
        environ = NOWHERE | {"PUSH_DISPATCH_CLOUD_RUN_ENDPOINT": url}
        with pytest.raises(Rejected, match="PUSH_DISPATCH_CLOUD_RUN_ENDPOINT"):
            CloudRun(environ).push(self.make_job(1))


def file_secrets(file: Path) -> Secrets:
    return system_secrets_from({"PUSH_DISPATCH_SECRETS": f"file:{file}"})
