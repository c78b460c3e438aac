"""What exactly is sent to the platform for a run? A pure function of what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from push_dispatch.core.canonical import dumps, text_of
from push_dispatch.core.errors import Rejected
from push_dispatch.core.model import Attempt, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.core.secret_references import (
    check_secrets,
    mark_secrets,
    resolve_secrets,
    secret_references,
    stray_references,
    unmark_secrets,
)
from push_dispatch.core.shape import misshapen
from push_dispatch.core.template import Layer, merge_variables, placeholders, render
from push_dispatch.core.tracing import span_of_attempt
from push_dispatch.engine.reporter import environment_for, wrapped
from push_dispatch.platforms.base import Job
from push_dispatch.ports.reporter import Reporter
from push_dispatch.ports.secrets import Secret, Secrets

__all__ = ["job_for", "layers_of", "name_of"]


_NOTHING: Mapping[str, str] = MappingProxyType({})


def name_of(uuid: str, attempt: int) -> str:
    """The deterministic name of an attempt: letters, digits and '-', 36 to 40 characters.

    It starts with a letter and fits the strictest platform (Cloud Run: job name and execution
    token together under 63 characters).
    """
    return f"pd-{uuid.replace('-', '')}-{attempt}"


def layers_of(run: Run) -> list[Layer]:
    """Whose job variables go over the pool's defaults, weakest first."""
    layers = [Layer("deployment", run.deployment_variables)] if run.deployment_variables else []
    return [*layers, Layer("run", run.variables)]


def job_for(
    run: Run,
    attempt: Attempt,
    template: Mapping[str, Any] | None,
    secrets: Secrets,
    *,
    passes_secrets: bool = False,
    own_secrets: str = "",
    env: Mapping[str, str] = _NOTHING,
    reporter: Reporter | None = None,
    allowed: Callable[[], Collection[str]] = tuple,
    traces: bool = False,
) -> Job:
    """The job of an attempt with its secrets filled in.

    With `passes_secrets`, environment variables with a secret in them are left to the platform, as
    are references to `own_secrets` of its own store: see `Capabilities`.
    `env` is what `{{ $NAME }}` may read. `allowed` returns the pool's patterns of the secrets that
    job variables may name; it is called only if they name any. With `traces`, the job is handed the
    span of its attempt instead of the one under which the run was submitted.
    Raises Rejected: `template_invalid` if the template is gone or cannot be rendered,
    `secret_unavailable` if a secret cannot be read, `platform_not_configured` if it is to report
    on itself and cannot. Raises Invalid: `secret_not_allowed`.
    """
    if template is None:
        raise Rejected(f"template {attempt.template!r} is gone", reason=Reason.TEMPLATE_INVALID)
    try:
        layers, named = layers_of(run), set[str]()
        for layer in layers:
            named |= secret_references(layer.variables)
        # Only what is named literally is marked: not what rendering puts together of pieces.
        template = mark_secrets(template)
        layers = [Layer(layer.source, mark_secrets(layer.variables)) for layer in layers]
        kind = merge_variables(template, layers).get("reporter")
        if kind:
            layers.append(_reporting(template, layers, kind))
        if strays := stray_references(template, layers_of(run)):
            raise ValueError(f"a secret may not stand in {', '.join(strays)}: put it into env")
        configuration = render(template, layers, env_allowlist=env).configuration
    except (ValueError, TypeError, KeyError) as error:
        raise Rejected(f"cannot be rendered: {error}", reason=Reason.TEMPLATE_INVALID) from error
    if named := named | secret_references(configuration):
        check_secrets(run.pool, allowed(), named)
    configuration = unmark_secrets(configuration)
    own = configuration.get("env") or {}
    if not isinstance(own, Mapping):
        raise Rejected("env is not an object of names and values", reason=Reason.TEMPLATE_INVALID)
    for path, problem in misshapen(configuration, complete=True):
        raise Rejected(f"{path} {problem}", reason=Reason.TEMPLATE_INVALID)
    try:
        kept = _secret_variables(own, secrets, own_secrets) if passes_secrets else {}
        if kept:
            configuration["env"] = {k: v for k, v in own.items() if k not in kept}
        filled = resolve_secrets(configuration, secrets.read)
    except KeyError as error:
        raise Rejected(
            f"secret {error} cannot be read", reason=Reason.SECRET_UNAVAILABLE
        ) from error
    except ValueError as error:  # quotes what stands in the template, without its secrets
        raise Rejected(str(error), reason=Reason.TEMPLATE_INVALID) from error
    # Parameters are data: what looks like a reference in them is none.
    span = span_of_attempt(run, attempt.number).traceparent if traces else run.traceparent
    filled = _with_context(filled, run, span, kept)
    if kind:
        filled["env"] |= environment_for(reporter, kind, run.id, attempt.number)
    return Job(
        name=name_of(run.uuid, attempt.number),
        run_id=run.id,
        pool=run.pool,
        type=attempt.type,
        attempt=attempt.number,
        configuration=filled,
        timeout_seconds=run.timeout_seconds,
        secrets=kept,
        claimed_at=attempt.in_doubt_since,
    )


def _reporting(template: Mapping[str, Any], layers: list[Layer], kind: str) -> Layer:
    """The command under the wrapper. Raises Rejected (`template_invalid`)."""
    if "command" not in placeholders(template.get("job_configuration", {})):
        raise Rejected(
            "reporter: the template's job_configuration has no {{ command }} to be wrapped",
            reason=Reason.TEMPLATE_INVALID,
        )
    # As it was, for messages that quote it; nothing in it has been put together yet.
    command = unmark_secrets(merge_variables(template, layers).get("command"))
    return Layer("reporter", {"command": mark_secrets(wrapped(kind, command))})


def _with_context(
    configuration: dict[str, Any], run: Run, traceparent: str, kept: Mapping[str, Secret]
) -> dict[str, Any]:
    """Tell the process who it is, by environment variables that its own may override, those among
    them that are `kept` for the platform."""
    env = {"PUSH_DISPATCH_RUN_ID": run.id, "PUSH_DISPATCH_POOL": run.pool}
    if traceparent:
        env["TRACEPARENT"] = traceparent
    if run.parameters:
        env["PUSH_DISPATCH_PARAMETERS"] = dumps(dict(run.parameters))
    env = {name: value for name, value in env.items() if name not in kept}
    return {**configuration, "env": {**env, **(configuration.get("env") or {})}}


_ONLY_A_SECRET = re.compile(r"\{\{\s*secrets\.([\w.\-/]+)\s*\}\}\Z")


def _secret_variables(
    env: Mapping[str, Any], secrets: Secrets, own_secrets: str
) -> dict[str, Secret]:
    """The environment variables with a secret in them. Only one that is nothing but a reference has
    an ARN; one of the platform's own store is not looked up in ours."""
    found: dict[str, Secret] = {}
    for variable, value in env.items():
        text = text_of(value)
        if match := _ONLY_A_SECRET.match(text):
            name = match.group(1)
            arn = "" if re.fullmatch(own_secrets, name) else secrets.arn(name)
            found[variable] = Secret(name, arn, partial(secrets.read, name))
        elif secret_references(value):
            found[variable] = Secret(text, "", partial(_filled, value, secrets))
    return found


def _filled(value: Any, secrets: Secrets) -> str:
    return text_of(resolve_secrets(value, secrets.read))
