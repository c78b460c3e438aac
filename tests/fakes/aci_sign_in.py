"""Microsoft Entra's token endpoint, and the AWS STS whose tokens it trusts."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from tests.fakes.rest_server import Answer, Request, RestServer

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = "s3cret~of.the.application"
AUDIENCE = "api://AzureADTokenExchange"
_SCOPE = "https://management.azure.com/.default"


class Entra:
    """Issues access tokens for Azure Resource Manager."""

    def __init__(self) -> None:
        self.issued: list[str] = []
        #: How each token was asked for: the form fields of the request.
        self.received: list[dict[str, str]] = []
        self._valid: set[str] = set()
        #: None once it is deleted.
        self.secret: str | None = SECRET
        self._refusals: list[Answer] = []
        #: Client assertions that a federated credential of the application matches.
        self.trusted: set[str] = set()

    def revoke(self) -> None:
        """Azure Resource Manager takes none of the tokens issued so far any more."""
        self._valid.clear()

    def accepts(self, headers: Mapping[str, str]) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        return kind == "Bearer" and token in self._valid

    def refuse_next(self, status: int, code: int, message: str) -> None:
        self._refusals.append(_refusal(status, code, message))

    def answer(self, request: Request, url: str) -> Answer | None:
        """None if this is no request to Microsoft Entra."""
        if not request.path.startswith(f"/{TENANT}/"):
            return None
        if request.path.endswith("/.well-known/openid-configuration"):
            base = f"{url}/{TENANT}"
            return Answer(
                200,
                {
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "issuer": f"{base}/v2.0",
                },
            )
        if request.path.endswith("/oauth2/v2.0/token"):
            return self._token({k: v[-1] for k, v in parse_qs(request.body.decode()).items()})
        return Answer(404, {})

    def _token(self, form: dict[str, str]) -> Answer:
        self.received.append(form)
        if self._refusals:
            return self._refusals.pop(0)
        if (form.get("client_id"), form.get("grant_type")) != (CLIENT, "client_credentials"):
            return _refusal(400, 700016, f"Application {form.get('client_id')!r} was not found")
        if _SCOPE not in form.get("scope", "").split():
            return _refusal(400, 1002012, "The provided value for scope is not valid")
        if "client_assertion" in form:
            if form["client_assertion"] not in self.trusted:
                return _refusal(401, 700213, "No matching federated identity record found")
        elif form.get("client_secret") != self.secret:
            return _refusal(401, 7000215, "Invalid client secret provided")
        token = f"token-{len(self.issued)}"
        self.issued.append(token)
        self._valid.add(token)
        return Answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token})


class FakeSts(RestServer):
    """AWS STS that says who the caller is to others."""

    def __init__(self, entra: Entra) -> None:
        super().__init__()
        self.entra = entra
        self.enabled = True

    def answer(self, request: Request) -> Answer:
        form = {k: v[-1] for k, v in parse_qs(request.body.decode()).items()}
        if form.get("Action") != "GetWebIdentityToken":
            return _xml(400, "InvalidAction", "no such action")
        if not self.enabled:
            return _xml(403, "OutboundWebIdentityFederationDisabled", "The feature is not enabled")
        if form.get("Audience.member.1") != AUDIENCE or form.get("SigningAlgorithm") != "RS256":
            return _xml(400, "ValidationError", "the audience or algorithm is not what is trusted")
        assertion = f"assertion-{len(self.received)}"
        self.entra.trusted.add(assertion)
        xml = f"""<GetWebIdentityTokenResponse><GetWebIdentityTokenResult>
            <WebIdentityToken>{assertion}</WebIdentityToken>
            <Expiration>2099-01-01T00:00:00Z</Expiration>
            </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"""
        return Answer(200, xml.encode(), {"Content-Type": "text/xml"})

    def throttled(self) -> Answer:
        return _xml(400, "Throttling", "Rate exceeded")


def _refusal(status: int, code: int, message: str) -> Answer:
    described = f"AADSTS{code}: {message}. Trace ID: 0 Correlation ID: 0"
    error = "temporarily_unavailable" if status >= 429 else "invalid_client"
    return Answer(status, {"error": error, "error_description": described, "error_codes": [code]})


def _xml(status: int, code: str, message: str) -> Answer:
    reported = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    xml = f"<ErrorResponse>{reported}</ErrorResponse>"
    return Answer(status, xml.encode(), {"Content-Type": "text/xml"})
