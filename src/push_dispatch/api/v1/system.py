"""The API itself: whether it works, what it knows."""

from __future__ import annotations

from typing import Any

from push_dispatch import __version__
from push_dispatch.api.v1 import answers
from push_dispatch.api.v1.table import TABLE, Answer, Call, Nothing
from push_dispatch.core.canonical import digest_of
from push_dispatch.core.errors import NotFound
from push_dispatch.core.reasons import REASONS
from push_dispatch.insight.platforms import platform_views
from push_dispatch.platforms.registry import entry_for
from push_dispatch.platforms.templates import default_template

__all__: list[str] = []


@TABLE.route("GET", "/v1/health", {200: answers.Health})
def show_health(call: Call[Nothing, Nothing]) -> Answer:
    """Check that the table can be read; 503 if it cannot."""
    call.ports.store.pool("health")
    return Answer({"status": "ok", "version": __version__})


@TABLE.route("GET", "/v1/openapi.json", {200: dict[str, Any]})
def show_document(call: Call[Nothing, Nothing]) -> Answer:  # noqa: ARG001 - a handler
    """Show this API as an OpenAPI 3.1 document."""
    from push_dispatch.api.v1.document import document  # noqa: PLC0415 - needs the whole table

    return Answer(document())


@TABLE.route("GET", "/v1/reasons", {200: answers.Items[answers.Reason]})
def list_reasons(call: Call[Nothing, Nothing]) -> Answer:  # noqa: ARG001 - a handler
    """List the reasons why runs wait, fail or end, and why requests are refused."""
    return Answer({"items": [reason._asdict() for reason in REASONS.values()]})


@TABLE.route("GET", "/v1/reasons/{reason}", {200: answers.Reason})
def show_reason(call: Call[Nothing, Nothing]) -> Answer:
    """Show one reason: the `type` of a problem leads here."""
    reason = REASONS.get(call.path["reason"])
    if reason is None:
        raise NotFound(f"there is no reason {call.path['reason']!r}")
    return Answer(reason._asdict())


@TABLE.route("GET", "/v1/platforms", {200: answers.Items[answers.Platform]})
def list_platforms(call: Call[Nothing, Nothing]) -> Answer:
    """List the platforms, their types of pools and what they can."""
    return Answer({"items": platform_views(call.ports.platform)})


@TABLE.route("GET", "/v1/templates/{type}", {200: answers.Template})
def show_default_template(call: Call[Nothing, Nothing]) -> Answer:
    """Show the base job template that pools of a type have unless they bring their own."""
    kind = call.path["type"]
    entry_for(kind)
    template = default_template(kind)
    return Answer({"digest": digest_of(template), "base_job_template": template})
