"""Who hears of a run's change of state? The event bus, and webhooks with a signature.

At least once, and in the stream's order per run. The id of an event is the run's id and revision,
so a receiver can tell a repetition.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.secret_stores import system_secrets_from
from push_dispatch.core.bounds import short
from push_dispatch.core.errors import Invalid, PushDispatchError
from push_dispatch.ports.secrets import WEBHOOKS, Secrets
from push_dispatch.ports.settings import Settings
from push_dispatch.ports.store import Change

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

__all__ = ["DETAIL_TYPE", "SOURCE", "Notifier", "Webhook", "notification_of", "signature"]

log = logging.getLogger(__name__)

SOURCE = "push-dispatch"
DETAIL_TYPE = "Run State Changed"

#: PutEvents takes 10 entries, and 256 KB in all; the rest is for what is around each detail.
_BATCH = 10
_BATCH_BYTES = 200_000
#: Bytes of tags that an event tells of.
_TAG_BYTES = 50_000
#: Errors that the same request would meet again.
_NEVER = ("ValidationException", "RequestEntityTooLargeException", "413")
#: What one post may take: to connect, and to read.
RESERVE_MS = 8_000

Numbered = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that hears of changes, signed as standardwebhooks.com describes."""

    url: str
    #: Name of the secret that signs, below `webhooks/` of the system's own.
    secret: str
    #: Only runs of these pools; all if there are none.
    pools: tuple[str, ...] = ()


def notification_of(change: Change) -> dict[str, Any] | None:
    """The detail of the event, or None if the run's state and attempt are what they were."""
    before, after = change.before, change.after
    if after is None:
        return None
    was = (before.state, before.attempt) if before else None
    if was == (after.state, after.attempt):
        return None
    attempt = after.current
    return {
        "id": f"{after.id}/{after.rev}",
        "run": after.id,
        "pool": after.pool,
        "queue": after.queue,
        "deployment": after.deployment or None,
        "name": short(after.name) or None,
        "tags": _tags(after.tags),
        "from": before.state.value if before else None,
        "to": after.state.value,
        "reason": short(after.reason) if after.reason else None,
        "message": short(after.message) if after.message else None,
        "attempt": after.attempt,
        "platform": attempt.platform if attempt else None,
        "handle": attempt.handle if attempt else None,
        "exit_code": attempt.exit_code if attempt else None,
        "due": _iso(after.due),
        "ended_at": _iso(after.ended_at),
    }


@dataclass
class Notifier:
    """Sends notifications; one that fails is reported, and those behind it are not sent."""

    bus: str = ""
    events: EventBridgeClient | None = None
    webhooks: Sequence[Webhook] = ()
    secrets: Secrets | None = None
    _http: Any = field(default=None, repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Notifier:
        """Bus and webhooks (`PUSH_DISPATCH_WEBHOOKS`, JSON) of this stack. Raises Invalid."""
        import boto3  # noqa: PLC0415 - a notifier without a bus needs none
        from botocore.config import Config  # noqa: PLC0415

        try:
            hooks = json.loads(settings.environ.get("PUSH_DISPATCH_WEBHOOKS") or "[]")
            webhooks = [Webhook(h["url"], h["secret"], tuple(h.get("pools", ()))) for h in hooks]
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid(f"PUSH_DISPATCH_WEBHOOKS is not valid: {error}") from error
        config = Config(connect_timeout=2, read_timeout=5)
        return cls(
            bus=settings.event_bus,
            events=boto3.client("events", config=config) if settings.event_bus else None,
            webhooks=webhooks,
            secrets=system_secrets_from(settings.environ) if webhooks else None,
        )

    def tell(self, notifications: Sequence[Numbered]) -> list[str]:
        """Send them in order, each to everybody. Returns the numbers from the first failure on: a
        stream delivers again from there, and the ids tell what was sent before."""
        failed: set[str] = set()
        for batch in _batches(notifications):
            if self.events is not None and not self._put(batch):
                failed |= {number for number, _ in batch}
            failed |= {number for number, detail in batch if not self._post(detail)}
        first = next((number for number, _ in notifications if number in failed), None)
        return [] if first is None else _from(notifications, first)

    def post_all(self, notifications: Sequence[Numbered], left: Callable[[], int]) -> list[str]:
        """Post to each webhook in a thread of its own, so that a slow one delays no other.

        A webhook that fails, or for which fewer than `RESERVE_MS` are `left`, gets none of those
        behind. Returns the numbers of those to deliver again, to every webhook that wants them.
        """
        if not self.webhooks:
            return []
        with ThreadPoolExecutor(len(self.webhooks)) as threads:
            failed = threads.map(
                lambda hook: self._post_in_turn(hook, notifications, left), self.webhooks
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

    def _put(self, batch: Sequence[Numbered]) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        assert self.events is not None  # noqa: S101 - the caller has looked
        try:
            reply = self.events.put_events(
                Entries=[
                    {
                        "EventBusName": self.bus,
                        "Source": SOURCE,
                        "DetailType": DETAIL_TYPE,
                        "Detail": json.dumps(detail),
                        "Resources": [detail["run"]],
                    }
                    for _, detail in batch
                ]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NEVER:
                return self._put_each(batch, error)
            log.warning("the event bus %s cannot be reached: %s", self.bus, error)
            return False
        except BotoCoreError as error:
            log.warning("the event bus %s cannot be reached: %s", self.bus, error)
            return False
        if reply["FailedEntryCount"]:
            log.warning("the event bus %s refused events: %s", self.bus, reply["Entries"])
        return not reply["FailedEntryCount"]

    def _post(self, detail: dict[str, Any]) -> bool:
        hooks = [h for h in self.webhooks if not h.pools or detail["pool"] in h.pools]
        answers = [self._post_to(hook, detail) for hook in hooks]
        return all(answers)

    def _put_each(self, batch: Sequence[Numbered], error: Exception) -> bool:
        """What the bus will never take is left out, and costs no other."""
        if len(batch) == 1:
            log.error("the event bus %s refused %s: %s", self.bus, batch[0][1]["id"], error)
            return True
        taken = [self._put([each]) for each in batch]
        return all(taken)

    def _post_to(self, hook: Webhook, detail: dict[str, Any]) -> bool:
        import urllib3  # noqa: PLC0415 - arrives with botocore; only webhooks need it

        if self._http is None:
            self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=5))
        if self.secrets is None:
            return False
        body, at = json.dumps(detail).encode(), int(time.time())
        try:
            secret = self.secrets.read(WEBHOOKS + hook.secret)
        except KeyError:
            # Whoever took the secret away has to give it back: nobody else waits for that.
            log.error("webhook %s: there is no secret %r", hook.url, hook.secret)  # noqa: TRY400
            return True
        except PushDispatchError as error:
            log.warning("webhook %s: no secret %r: %r", hook.url, hook.secret, error)
            return False
        headers = {
            "Content-Type": "application/json",
            "webhook-id": detail["id"],
            "webhook-timestamp": str(at),
            "webhook-signature": signature(secret, detail["id"], at, body),
        }
        try:
            reply = self._http.request("POST", hook.url, body=body, headers=headers, retries=False)
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


def _batches(notifications: Sequence[Numbered]) -> Iterator[Sequence[Numbered]]:
    """As many as one request takes, by number and by size."""
    batch: list[Numbered] = []
    size = 0
    for number, detail in notifications:
        bytes_ = len(json.dumps(detail).encode())
        if batch and (len(batch) == _BATCH or size + bytes_ > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((number, detail))
        size += bytes_
    if batch:
        yield batch


def _tags(tags: Sequence[str]) -> list[str]:
    """The first of them: an event has less room than a run."""
    told: list[str] = []
    room = _TAG_BYTES
    for tag in tags:
        room -= len(json.dumps(tag)) + 2
        if room < 0:
            return [*told, f"… and {len(tags) - len(told)} more"]
        told.append(tag)
    return told


def _from(notifications: Sequence[Numbered], number: str) -> list[str]:
    numbers = [n for n, _ in notifications]
    return numbers[numbers.index(number) :]


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
