"""Do receivers that verify with the official library believe our webhooks?"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from push_dispatch.adapters.secret_stores import EnvSecrets
from push_dispatch.adapters.webhooks import Webhook, Webhooks, signature
from push_dispatch.bootstrap import now
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Run
from push_dispatch.ports.notification import notification_of
from push_dispatch.ports.store import Change

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A URL, and the headers and bodies that it gets."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Receiving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers.items()), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing to log."""

    with HTTPServer(("127.0.0.1", 0), Receiving) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hooks", got
        server.shutdown()
        thread.join()


def notified(secret: str) -> tuple[dict[str, Any], dict[str, str], bytes]:
    """What was to be said, and what arrived."""
    run = Run("p", "0199c1f0-0000-7000-8000-000000000001", "default", 1, 1, "o", name="für Zoë")
    detail = notification_of(Change("p", after=replace(run, rev=7)))
    assert detail is not None
    with receiver() as (url, got):
        secrets = EnvSecrets({"PUSH_DISPATCH_SECRET_webhooks/HOOKS": secret})
        webhooks = Webhooks([Webhook(url, "HOOKS")], secrets, now)
        assert webhooks.post([("1", detail)], lambda: 30_000) == []
    ((headers, body),) = got
    return detail, headers, body


@pytest.mark.parametrize(
    ("secret", "verifier"),
    [
        (SECRET, Verifier(SECRET)),
        (SECRET.rstrip("="), Verifier(SECRET)),
        (
            "a text without a prefix is its own bytes",
            Verifier(b"a text without a prefix is its own bytes"),
        ),
    ],
    ids=["whsec", "without-padding", "text"],
)
def test_the_official_library_verifies(secret: str, verifier: Verifier) -> None:
    detail, headers, body = notified(secret)
    assert verifier.verify(body, headers) == detail
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.replace(b"SCHEDULED", b"COMPLETED"), headers)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", "whsec_====", "whsec_ü"])
def test_what_is_not_base64_behind_the_prefix_is_refused(secret: str) -> None:
    with pytest.raises(Invalid, match="whsec_"):
        signature(secret, "id", 1, b"{}")
