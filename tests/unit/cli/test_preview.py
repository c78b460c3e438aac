"""Is what `run render` shows what the push sends?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.cli.commands.dry_run import show_request
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Attempt, Pool
from push_dispatch.core.request import Request
from push_dispatch.engine.job import job_for
from push_dispatch.engine.submit import pool_named, prepare
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports
from push_dispatch.ports.reporter import Reporter
from tests.fakes.memory.messages import MemoryMessages
from tests.fakes.memory.store import MemoryStore

RUN = "0199c1f0-0000-7000-8000-000000000001"
SECRETS = secrets_from({"PUSH_DISPATCH_SECRETS": "env", "PUSH_DISPATCH_SECRET_PW": "planted"})
KEYED = Reporter("https://reports.example.com/", lambda: "the stack's key")


def ports_with(type_: str) -> Ports:
    """A pool `p` of that type."""
    ports = Ports(
        store=MemoryStore(),
        messages=MemoryMessages(),
        clock=lambda: 1_800_000_000_000,
        new_id=lambda: RUN,
        platform=lambda _: pytest.fail("a preview loads no platform"),
        secrets=SECRETS,
        reporter=KEYED,
    )
    create_pool(ports, Pool("p", type_, secrets=("PW",)), default_template(type_))
    return ports


def sent(ports: Ports, request: Request, *, passes_secrets: bool) -> Job:
    """What the push hands to the platform."""
    pool = pool_named(ports, "p")
    attempt = Attempt(1, pool.type, pool.template, pool.type)
    template = ports.store.template("p", pool.template)
    run = prepare(ports, pool, request)
    return job_for(
        run,
        attempt,
        template,
        SECRETS,
        passes_secrets=passes_secrets,
        reporter=KEYED,
        allowed=lambda: pool.secrets,
    )


def preview(ports: Ports, request: Request, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    show_request(ports, request, as_json=True)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.mark.parametrize("kind", ["python", "sh"])
@pytest.mark.parametrize(("type_", "passes_secrets"), [("ecs", True), ("docker", False)])
def test_the_preview_is_what_is_sent(
    capsys: pytest.CaptureFixture[str], kind: str, type_: str, *, passes_secrets: bool
) -> None:
    ports = ports_with(type_)
    variables = {
        "image": "busybox",
        "command": "sh -c 'echo hi'",
        "reporter": kind,
        "env": {"PLAIN": "1", "PW": "{{ secrets.PW }}"},
    }
    request = Request("p", variables=variables)
    shown = preview(ports, request, capsys)
    job = sent(ports, request, passes_secrets=passes_secrets)
    token = job.configuration["env"]["PUSH_DISPATCH_REPORT_TOKEN"]
    as_sent = json.dumps(job.configuration).replace(token, "<a token for this attempt>")
    assert shown["configuration"] == json.loads(as_sent.replace("planted", "{{ secrets.PW }}"))
    assert shown["secrets"] == ({"PW": "PW"} if passes_secrets else {})
    assert set(job.secrets) == set(shown["secrets"])


def test_a_preview_needs_no_reporter_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line of a deployment in AWS knows neither its URL nor its key."""
    ports = replace(ports_with("ecs"), reporter=None)
    request = Request("p", variables={"image": "i", "command": "true", "reporter": "python"})
    shown = preview(ports, request, capsys)
    assert "report URL" in shown["configuration"]["env"]["PUSH_DISPATCH_REPORT_URL"]
    show_request(ports, request, as_json=False)
    assert "PUSH_DISPATCH_REPORT_TOKEN" in capsys.readouterr().out
