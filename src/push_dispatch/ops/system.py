"""What does a deployed system consist of? Functions, what invokes them, and queues."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "HANDLERS",
    "PLATFORM_QUEUES",
    "Function",
    "Queue",
    "Rule",
    "Source",
    "System",
    "queues_of",
]

#: The environment variable that names the platforms' queues, as a JSON object.
PLATFORM_QUEUES = "PUSH_DISPATCH_PLATFORM_QUEUES"

#: What every system has, by the module of the handler; those that push are one per platform.
HANDLERS = ("dispatch", "push", "finish", "sweep", "submit", "notify")

_NETWORK = "PUSH_DISPATCH_MANAGED_SUBNETS"


@dataclass(frozen=True, slots=True)
class Source:
    """An event source mapping: a stream or a queue that invokes a function."""

    arn: str
    #: `Enabled`, or what else Lambda says.
    state: str
    #: What Lambda says of its last look, such as `OK` or `PROBLEM: …`.
    last_result: str = ""
    filters: tuple[Mapping[str, Any], ...] = ()
    #: Whether the function may report single messages of a batch as failed.
    partial: bool = False
    #: ARN of the queue that gets a note of each batch that Lambda stopped retrying.
    on_failure: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether it is the stream of a table."""
        return ":dynamodb:" in self.arn


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function of the system."""

    name: str
    arn: str
    role: str
    #: Module of the handler: `dispatch` of `push_dispatch.handlers.dispatch.handler`.
    handler: str
    timeout_seconds: int
    environ: Mapping[str, str]
    #: `Active`, or what keeps it from being invoked.
    state: str = "Active"
    #: `Successful`, or what became of its last update.
    update: str = "Successful"
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """One SQS queue."""

    arn: str
    url: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition(":")[2]

    @property
    def waiting(self) -> int:
        """Messages that can be received, about."""
        return int(self.attributes.get("ApproximateNumberOfMessages", 0))

    @property
    def visibility_seconds(self) -> int:
        """For how long a message that was received is kept from others."""
        return int(self.attributes.get("VisibilityTimeout", 0))

    @property
    def dead_letters(self) -> str:
        """ARN of the queue of what was received too often; empty if there is none."""
        policy = json.loads(self.attributes.get("RedrivePolicy") or "{}")
        return str(policy.get("deadLetterTargetArn", ""))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of an event bus that targets something of the system."""

    name: str
    bus: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class System:
    """What was found. A queue that is named and was not found is not in `queues`."""

    functions: tuple[Function, ...] = ()
    #: By ARN.
    queues: Mapping[str, Queue] = field(default_factory=dict)

    def having(self, handler: str) -> tuple[Function, ...]:
        """The functions with this handler."""
        return tuple(f for f in self.functions if f.handler == handler)

    @property
    def dead_letter_queues(self) -> dict[str, list[str]]:
        """ARNs of the queues of dead letters, each with the names of what it comes from. A
        queue that a function reads is none: what comes there is tried again."""
        found: dict[str, list[str]] = {}
        read = {source.arn for function in self.functions for source in function.sources}
        for queue in self.queues.values():
            if queue.dead_letters:
                found.setdefault(queue.dead_letters, []).append(queue.name)
        for function in self.functions:
            for source in function.sources:
                if source.on_failure and source.on_failure not in read:
                    found.setdefault(source.on_failure, []).append(f"the stream to {function.name}")
        return found

    @property
    def rejected(self) -> tuple[Queue, Queue] | None:
        """The queue of requests that were refused, and the one that they had come by."""
        for function in self.having("submit"):
            url = function.environ.get("PUSH_DISPATCH_REJECTED_QUEUE", "")
            sources = [self.queues.get(source.arn) for source in function.sources]
            refused = next((q for q in self.queues.values() if _same_url(q.url, url)), None)
            if refused is not None and sources and sources[0] is not None:
                return refused, sources[0]
        return None

    @property
    def platform_queues(self) -> dict[str, str]:
        """URL of the queue of each platform, as dispatch is told."""
        for function in self.having("dispatch"):
            return queues_of(function.environ) or {}
        return {}

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that runs can be pushed to. The stack's own cluster is optional."""
        has_cluster = any(f.environ.get(_NETWORK) for f in self.having("push"))
        return tuple(name for name in self.platform_queues if name != "managed" or has_cluster)

    def pushing_to(self, platform: str) -> tuple[Function, ...]:
        """The functions that take what is sent to a platform."""
        queue = self.queue_at(self.platform_queues.get(platform, ""))
        fed = self.fed_by(queue) if queue else ()
        return tuple(function for function, _ in fed if function.handler == "push")

    def queue_at(self, url: str) -> Queue | None:
        """The queue with this URL."""
        return next((q for q in self.queues.values() if _same_url(q.url, url)), None)

    def fed_by(self, queue: Queue) -> Iterator[tuple[Function, Source]]:
        """Who is invoked with the messages of a queue."""
        for function in self.functions:
            for source in function.sources:
                if source.arn == queue.arn:
                    yield function, source


def _same_url(left: str, right: str) -> bool:
    """Account and name are the last two parts; what is before has several spellings."""
    return bool(left and right) and left.split("/")[-2:] == right.split("/")[-2:]


def queues_of(environ: Mapping[str, str]) -> dict[str, str] | None:
    """Return the URL of each platform's queue in a function's environment, or None if the variable
    is malformed: the function itself raises then, and doctor must not."""
    try:
        named = dict(json.loads(environ.get(PLATFORM_QUEUES) or "{}"))
    except (ValueError, TypeError):
        return None
    return {str(name): str(url) for name, url in named.items()}
