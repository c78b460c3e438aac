"""What would be sent to the platform for a request, and where does each value come from?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from push_dispatch.core.errors import Invalid, PushDispatchError
from push_dispatch.core.model import Attempt, Pool, Run
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.core.template import render
from push_dispatch.core.validation import check, enforced
from push_dispatch.engine.job import job_for, layers_of
from push_dispatch.engine.submit import pool_named, prepare
from push_dispatch.platforms.base import Capabilities
from push_dispatch.platforms.capabilities import capabilities_of
from push_dispatch.platforms.registry import Entry, entry_for, needs_command
from push_dispatch.ports import Ports
from push_dispatch.ports.reporter import Reporter

__all__ = ["leaves", "rendered", "rendered_run"]


def rendered(ports: Ports, request: Request) -> dict[str, Any]:
    """Return the job that a request would send. Secrets stand as references. Raises Invalid,
    NotFound as submitting would."""
    pool = pool_named(ports, request.pool)
    run = prepare(ports, pool, request)
    template = _template(ports, pool, pool.template)
    check(template, layers_of(run), needs_command(pool.type))
    return _view(ports, pool, run, _first(pool), template)


def rendered_run(ports: Ports, run: Run) -> dict[str, Any]:
    """Return the job of a run's last attempt, or of the first that it will have. Secrets stand as
    references. Raises Invalid, NotFound, Rejected."""
    pool = pool_named(ports, run.pool)
    attempt = run.current or _first(pool)
    return _view(
        ports, pool, run, attempt, _template(ports, pool, attempt.template or pool.template)
    )


def _first(pool: Pool) -> Attempt:
    return Attempt(1, entry_for(pool.type).platform, pool.template, pool.type)


def _template(ports: Ports, pool: Pool, digest: str) -> Mapping[str, Any]:
    template = ports.store.template(pool.name, digest)
    if template is None:
        raise Invalid(
            f"pool {pool.name!r} has no base job template", reason=Reason.TEMPLATE_INVALID
        )
    return template


def _view(
    ports: Ports, pool: Pool, run: Run, attempt: Attempt, template: Mapping[str, Any]
) -> dict[str, Any]:
    kind = attempt.type or pool.type
    url = ports.reporter.url if ports.reporter else _REPORT_URL
    can = _capabilities(ports, entry_for(kind))
    job = job_for(
        run,
        attempt,
        template,
        _References(),
        passes_secrets=can.passes_secrets,
        own_secrets=can.own_secrets,
        env=ports.template_env,
        reporter=_PreviewedReporter(url, lambda: ""),
        allowed=lambda: pool.secrets,
        traces=ports.traces,
    )
    sources = render(template, layers_of(run)).provenance
    return {
        "pool": pool.name,
        "queue": run.queue,
        "type": kind,
        "platform": attempt.platform,
        "deployment": run.deployment or None,
        "configuration": dict(job.configuration),
        "provenance": {path: _source(sources, path) for path, _ in leaves(job.configuration, "")},
        # Variables of the environment that the platform fills in by itself, by the secret's name.
        "secrets": {variable: secret.name for variable, secret in job.secrets.items()},
        "enforced": enforced(template),
        "timeout_seconds": run.timeout_seconds,
        "parameters": dict(run.parameters),
    }


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value inside another one, with its path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and value:
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{place}]")
    else:
        yield path, value


# -- details ----------------------------------------------------------------------------------


class _References:
    """Stands in for the secrets: their values are nobody's business here."""

    def read(self, name: str) -> str:
        return f"{{{{ secrets.{name} }}}}"

    def arn(self, name: str) -> str:  # noqa: ARG002 - the protocol's
        return ""

    where = read


#: Where jobs report to is known to the functions only, and a token belongs to one attempt.
_REPORT_URL, _REPORT_TOKEN = "<the deployment's report URL>", "<a token for this attempt>"


class _PreviewedReporter(Reporter):
    """Stands in for the reporter of the deployment, and reads no key."""

    def environment(self, run_id: str, attempt: int) -> dict[str, str]:
        """Name the variables that the wrapper gets, without a token that would be good."""
        return {
            "PUSH_DISPATCH_RUN_ID": run_id,
            "PUSH_DISPATCH_ATTEMPT": str(attempt),
            "PUSH_DISPATCH_REPORT_URL": self.url,
            "PUSH_DISPATCH_REPORT_TOKEN": _REPORT_TOKEN,
        }


def _capabilities(ports: Ports, entry: Entry) -> Capabilities:
    """What the platform can do: nothing in particular if a third party's is not here."""
    if entry.capabilities is not None:
        return entry.capabilities
    try:
        return capabilities_of(ports.platform(entry.platform))
    except PushDispatchError:
        return Capabilities()


def _source(sources: Mapping[str, str], path: str) -> str:
    """Where a value comes from, or the value that it is a part of; else it is our own."""
    inner = max(
        (p for p in sources if path == p or path.startswith((f"{p}.", f"{p}["))), default=""
    )
    return sources.get(inner, "push-dispatch")
