"""What may happen to a call of DynamoDB? Hooks on a real client that make it happen, once each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

_BATCH = "BatchWriteItem"


class Fault(Enum):
    """What happens to one request."""

    #: Refused before it has an effect.
    THROTTLED = "throttled"
    #: The service fails before it has an effect.
    BROKEN = "broken"
    #: The request gets lost on its way.
    LOST_REQUEST = "lost request"
    #: It takes effect, and the reply gets lost.
    LOST_REPLY = "lost reply"
    #: It takes effect, the reply gets lost, and the SDK sends the same again by itself.
    SENT_TWICE = "sent twice"
    #: A batch of which the service leaves the second half for later.
    HALF_DONE = "half done"


@dataclass
class Faulty:
    """Steers the faults of one client; calls are counted from the one after `arm`."""

    #: Operations in the order in which they were asked for.
    calls: list[str] = field(default_factory=list)
    _armed: dict[int, Fault] = field(default_factory=dict)
    _rival: tuple[str, Callable[[], object]] | None = None
    _current: Fault | None = None
    _left: dict[str, Any] = field(default_factory=dict)

    def arm(self, *faults: tuple[int, Fault]) -> None:
        """The `n`-th call from now on (0 is the next one) meets the fault."""
        self.calls.clear()
        self._armed = dict(faults)

    def before_next(self, operation: str, rival: Callable[[], object]) -> None:
        """Somebody else is faster: `rival` is called just before the next `operation` is sent."""
        self._rival = (operation, rival)

    @property
    def met(self) -> bool:
        """Whether every armed fault has happened."""
        return not self._armed

    # -- hooks, in the order in which botocore calls them -----------------------------------------

    def begin(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """A call is asked for."""
        if self._rival is not None and self._rival[0] == model.name:
            rival, self._rival = self._rival[1], None
            rival()
        self._current = self._armed.pop(len(self.calls), None)
        self.calls.append(model.name)
        if self._current is Fault.HALF_DONE and model.name == _BATCH:
            [(table, requests)] = params["RequestItems"].items()
            half = (len(requests) + 1) // 2
            params["RequestItems"] = {table: requests[:half]}
            self._left = {table: requests[half:]} if requests[half:] else {}

    def send(self, request: Any, **_: Any) -> AWSResponse | None:
        """A request is about to be sent; what is returned is taken for the reply."""
        match self._current:
            case Fault.THROTTLED:
                self._current = None
                return _reply(request, 400, "ProvisionedThroughputExceededException")
            case Fault.BROKEN:
                self._current = None
                return _reply(request, 500, "InternalServerError")
            case Fault.LOST_REQUEST:
                self._current = None
                raise ReadTimeoutError(endpoint_url=request.url)
        return None

    def again(self, **_: Any) -> float | None:
        """A reply is there: a number means to send the request again after so many seconds."""
        if self._current is Fault.SENT_TWICE:
            self._current = None
            return 0
        return None

    def end(self, parsed: dict[str, Any], **_: Any) -> None:
        """The reply was read."""
        if self._current is Fault.LOST_REPLY:
            self._current = None
            raise ReadTimeoutError(endpoint_url="the table")
        if self._left:
            parsed["UnprocessedItems"], self._left = self._left, {}


@contextmanager
def faulty(client: Any) -> Iterator[Faulty]:
    """The faults of a DynamoDB client, which is as before afterwards."""
    steered = Faulty()
    hooks = {
        "provide-client-params.dynamodb": steered.begin,
        "before-send.dynamodb": steered.send,
        "needs-retry.dynamodb": steered.again,
        "after-call.dynamodb": steered.end,
    }
    for event, hook in hooks.items():
        client.meta.events.register_first(event, hook)
    try:
        yield steered
    finally:
        for event, hook in hooks.items():
            client.meta.events.unregister(event, hook)


def _reply(request: Any, status: int, error: str) -> AWSResponse:
    body = f'{{"__type": "com.amazonaws.dynamodb.v20120810#{error}", "message": "injected"}}'
    return AWSResponse(request.url, status, HTTPHeaders(), _Raw(body.encode()))


@dataclass
class _Raw:
    """The part of urllib3's response that botocore reads."""

    body: bytes

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.body
