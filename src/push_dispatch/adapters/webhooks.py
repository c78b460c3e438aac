"""How do notifications reach the receivers? Webhooks with a signature, at least once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import urllib3

from push_dispatch.core.errors import Invalid, PushDispatchError
from push_dispatch.ports.notification import Numbered
from push_dispatch.ports.secrets import WEBHOOKS, Secrets

__all__ = ["RESERVE_MS", "Webhook", "Webhooks", "signature", "webhooks_from"]

log = logging.getLogger(__name__)

#: What one post may take: to connect, and to read.
RESERVE_MS = 8_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that hears of changes, signed as standardwebhooks.com describes."""

    url: str
    #: Name of the secret that signs, below `webhooks/` of the system's own.
    secret: str
    #: Only runs of these pools; all if there are none.
    pools: tuple[str, ...] = ()


def webhooks_from(environ: Mapping[str, str]) -> list[Webhook]:
    """Read `PUSH_DISPATCH_WEBHOOKS`, a JSON list. Raises Invalid."""
    try:
        hooks = json.loads(environ.get("PUSH_DISPATCH_WEBHOOKS") or "[]")
        return [Webhook(h["url"], h["secret"], tuple(h.get("pools", ()))) for h in hooks]
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(f"PUSH_DISPATCH_WEBHOOKS is not valid: {error}") from error


@dataclass(frozen=True)
class Webhooks:
    """Posts notifications to each webhook that wants them."""

    hooks: Sequence[Webhook]
    secrets: Secrets
    #: The time in epoch milliseconds, which is signed.
    clock: Callable[[], int]
    http: Any = field(
        default_factory=lambda: urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=5)),
        repr=False,
    )

    def post(self, notifications: Sequence[Numbered], left: Callable[[], int]) -> list[str]:
        """Post to each webhook in a thread of its own, so that a slow one delays no other.

        A webhook that fails, or for which fewer than `RESERVE_MS` are `left`, gets none of those
        behind. Returns the numbers of those to deliver again, to every webhook that wants them.
        """
        if not self.hooks:
            return []
        with ThreadPoolExecutor(len(self.hooks)) as threads:
            failed = threads.map(
                lambda hook: self._post_in_turn(hook, notifications, left), self.hooks
            )
            again = {number for numbers in failed for number in numbers}
        return [number for number, _ in notifications if number in again]

    def _post_in_turn(
        self, hook: Webhook, notifications: Sequence[Numbered], left: Callable[[], int]
    ) -> list[str]:
        wanted = [(n, d) for n, d in notifications if not hook.pools or d["pool"] in hook.pools]
        for place, (_, detail) in enumerate(wanted):
            if left() < RESERVE_MS or not self._post_to(hook, detail):
                return [number for number, _ in wanted[place:]]
        return []

    def _post_to(self, hook: Webhook, detail: dict[str, Any]) -> bool:
        body = json.dumps(detail).encode()
        try:
            headers = self._headers(hook, detail["id"], body)
        except (KeyError, Invalid) as error:
            # Only who owns the secret can repair it, and no other webhook waits for that.
            where = self.secrets.where(WEBHOOKS + hook.secret)
            log.error("webhook %s: no usable secret: create %s: %r", hook.url, where, error)  # noqa: TRY400
            return True
        except PushDispatchError as error:
            log.warning("webhook %s: no secret %r: %r", hook.url, hook.secret, error)
            return False
        try:
            reply = self.http.request("POST", hook.url, body=body, headers=headers, retries=False)
        except urllib3.exceptions.HTTPError as error:
            log.warning("webhook %s cannot be reached: %s", hook.url, error)
            return False
        if reply.status >= 500 or reply.status == 429:
            log.warning("webhook %s answered %s", hook.url, reply.status)
            return False
        if reply.status >= 400:
            # It will not like it better the next time: do not hold up the others.
            log.error("webhook %s refused %s: %s", hook.url, detail["id"], reply.status)
        return True

    def _headers(self, hook: Webhook, event_id: str, body: bytes) -> dict[str, str]:
        """Raises KeyError, Invalid or Unavailable without a secret that can sign."""
        at = self.clock() // 1000
        secret = self.secrets.read(WEBHOOKS + hook.secret)
        return {
            "Content-Type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(secret, event_id, at, body),
        }


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Sign id, timestamp and body as standardwebhooks.com has it: `v1,` and a base64.

    The key is what the secret encodes if it is `whsec_` and a base64, else its UTF-8 bytes.
    Raises Invalid if what follows `whsec_` is not base64.
    """
    signed = b".".join((event_id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(_key_of(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key_of(secret: str) -> bytes:
    prefix, encoded = "whsec_", secret.removeprefix("whsec_").strip()
    if not secret.startswith(prefix):
        return secret.encode()
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise Invalid("a webhook's secret is not valid: after whsec_ comes a base64")
    return key
