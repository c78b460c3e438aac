"""Google's token endpoints, and the AWS STS whose tokens a workload identity pool trusts."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.rest_server import Answer, Request, RestServer

PROVIDER = (
    "//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/aws/"
    "providers/push-dispatch"
)
ACCOUNT = "runner@acme-runs.iam.gserviceaccount.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class FakeGoogle(RestServer):
    """Issues access tokens; `tokens` is what services may accept."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        #: Paths, and the action of AWS STS, in the order of the requests.
        self.paths: list[str] = []
        #: Tokens of AWS STS that the provider trusts.
        self.trusted: set[str] = set()
        #: Whether AWS issues tokens for others at all.
        self.enabled = True
        #: Whether the pool's principal may act as the service account.
        self.may_impersonate = True
        #: Whether the provider trusts anybody at all.
        self.trusts = True

    def answer(self, request: Request) -> Answer:
        if request.path == "/":
            return self._aws({k: v[-1] for k, v in parse_qs(request.body.decode()).items()})
        self.paths.append(request.path)
        if request.path == "/v1/token":
            return self._exchanged({k: v[-1] for k, v in parse_qs(request.body.decode()).items()})
        if request.path.endswith(f"/serviceAccounts/{ACCOUNT}:generateAccessToken"):
            return self._impersonated(request)
        if request.path == "/token":
            return self._of_key({k: v[-1] for k, v in parse_qs(request.body.decode()).items()})
        return Answer(404, {"error": "not_found"})

    def _aws(self, form: dict[str, str]) -> Answer:
        self.paths.append(form.get("Action", ""))
        if not self.enabled:
            return _xml(403, "OutboundWebIdentityFederationDisabled", "The feature is not enabled")
        if form.get("Audience.member.1") != f"https:{PROVIDER}":
            return _xml(400, "ValidationError", "not the audience of the provider")
        assertion = f"assertion-{len(self.paths)}"
        self.trusted.add(assertion)
        xml = f"""<GetWebIdentityTokenResponse><GetWebIdentityTokenResult>
            <WebIdentityToken>{assertion}</WebIdentityToken>
            <Expiration>2099-01-01T00:00:00Z</Expiration>
            </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"""
        return Answer(200, xml.encode(), {"Content-Type": "text/xml"})

    def _exchanged(self, form: dict[str, str]) -> Answer:
        known = self.trusts and form.get("subject_token") in self.trusted
        if form.get("audience") != PROVIDER or not known:
            return _refusal("invalid_grant", "The given credential is rejected by the attributes.")
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return self._issue({"token_type": "Bearer", "issued_token_type": kind})

    def _impersonated(self, request: Request) -> Answer:
        _, _, token = request.headers.get("authorization", "").partition(" ")
        if token not in self.tokens or not self.may_impersonate:
            message = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource."
            return Answer(403, {"error": {"code": 403, "message": message}})
        self.tokens.discard(token)
        issued = self._issue({}).body["access_token"]
        return Answer(200, {"accessToken": issued, "expireTime": "2099-01-01T00:00:00Z"})

    def _of_key(self, form: dict[str, str]) -> Answer:
        payload = form.get("assertion", "").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        if (claims["iss"], claims["scope"]) != (ACCOUNT, _SCOPE):
            return _refusal("invalid_grant", "Invalid JWT: not the account of the key.")
        return self._issue({"token_type": "Bearer"})

    def _issue(self, more: dict[str, str]) -> Answer:
        token = f"token-{len(self.paths)}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "expires_in": 3599, **more})

    def throttled(self) -> Answer:
        return _xml(400, "Throttling", "Rate exceeded")

    # -- what the platform is given --------------------------------------------------------------

    def federation(self, **more: str) -> dict[str, str]:
        return {
            "PUSH_DISPATCH_GOOGLE_AUDIENCE": PROVIDER,
            "PUSH_DISPATCH_GOOGLE_STS_ENDPOINT": self.url,
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            **more,
        }

    def key(self, account: str = ACCOUNT) -> str:
        """A service account key, as Google makes it."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        key = {
            "type": "service_account",
            "project_id": "acme-runs",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": account,
            "token_uri": f"{self.url}/token",
        }
        return json.dumps(key)


class BehindGoogle:
    """What fakes of Google's services share: where the access tokens for them come from. It is
    started when it is asked for, as most tests sign in nowhere."""

    _google: FakeGoogle | None = None

    @property
    def google(self) -> FakeGoogle:
        if self._google is None:
            self._google = FakeGoogle()
            self._google.__enter__()
        return self._google

    def revoke(self) -> None:
        self.google.trusts = False

    def leave_google(self) -> None:
        if self._google is not None:
            self._google.__exit__()


def _refusal(error: str, description: str) -> Answer:
    return Answer(400, {"error": error, "error_description": description})


def _xml(status: int, code: str, message: str) -> Answer:
    reported = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    xml = f"<ErrorResponse>{reported}</ErrorResponse>"
    return Answer(status, xml.encode(), {"Content-Type": "text/xml"})
