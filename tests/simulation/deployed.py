"""What does template.yaml deploy, as far as it decides how messages travel?

The simulator reads the template next to the package that it tests, so that a change there is found
out like one in the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import push_dispatch

__all__ = ["Deployed", "FunctionFacts", "QueueFacts", "deployed"]


@dataclass(frozen=True)
class QueueFacts:
    """One queue and the mapping that feeds its function."""

    visibility_ms: int
    max_receives: int
    batch: int
    #: Invocations at once; None is as many as there are.
    at_once: int | None


@dataclass(frozen=True)
class FunctionFacts:
    """One function."""

    timeout_ms: int
    #: Whether Lambda lets it send to itself, by whatever way, as often as it wants.
    may_loop: bool


@dataclass(frozen=True)
class Deployed:
    """The stack."""

    functions: Mapping[str, FunctionFacts]
    queues: Mapping[str, QueueFacts]
    stream_batch: int
    stream_retries: int


class _Loader(yaml.SafeLoader):
    """Takes `!Ref X` and the like for text."""


def _tagged(loader: Any, suffix: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return f"{suffix}:{loader.construct_scalar(node)}"
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _tagged)

_FUNCTIONS = {
    "dispatch": "DispatchFunction",
    "push": "PushEcsFunction",
    "finish": "FinishFunction",
    "submit": "SubmitFunction",
    "sweep": "SweepFunction",
}
_QUEUES = {
    "wake": ("WakeQueue", "DispatchFunction"),
    "push": ("EcsQueue", "PushEcsFunction"),
    "finish": ("FinishQueue", "FinishFunction"),
    "request": ("RequestQueue", "SubmitFunction"),
}


@cache
def deployed() -> Deployed:
    """Read the template."""
    file = Path(push_dispatch.__file__).parents[2] / "template.yaml"
    template = yaml.load(file.read_text(), _Loader)
    resources = template["Resources"]
    timeout = template["Globals"]["Function"]["Timeout"]
    stream = _mapping(resources["DispatchFunction"], "DynamoDB")
    return Deployed(
        functions={
            name: _function(resources[logical]["Properties"], timeout)
            for name, logical in _FUNCTIONS.items()
        },
        queues={
            name: _queue(template, resources[queue]["Properties"], resources[function])
            for name, (queue, function) in _QUEUES.items()
        },
        stream_batch=stream["BatchSize"],
        stream_retries=stream["MaximumRetryAttempts"],
    )


def _mapping(function: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    events = function["Properties"]["Events"].values()
    found: Mapping[str, Any] = next(e["Properties"] for e in events if e["Type"] == kind)
    return found


def _function(properties: Mapping[str, Any], timeout: int) -> FunctionFacts:
    seconds = properties.get("Timeout", timeout)
    return FunctionFacts(seconds * 1000, properties.get("RecursiveLoop") == "Allow")


def _queue(
    template: Mapping[str, Any], queue: Mapping[str, Any], function: Mapping[str, Any]
) -> QueueFacts:
    mapping = _mapping(function, "SQS")
    at_once = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
    if isinstance(at_once, str):
        at_once = template["Parameters"][at_once.partition(":")[2]]["Default"]
    return QueueFacts(
        visibility_ms=queue.get("VisibilityTimeout", 30) * 1000,
        max_receives=queue["RedrivePolicy"]["maxReceiveCount"],
        batch=mapping.get("BatchSize", 10),
        at_once=None if at_once is None else int(at_once),
    )
