"""Does `{{ $NAME }}` read what is allowed, and never the function's credentials?"""

from __future__ import annotations

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.core.model import Attempt, Run
from push_dispatch.engine.job import job_for
from push_dispatch.ports.settings import Settings

RUN = Run("p", "0199c1f0-0000-7000-8000-000000000001", "default", due=0, submitted_at=0, order="1")
TEMPLATE = {"job_configuration": {"a": "{{ $STAGE }}", "b": "<{{ $AWS_SECRET_ACCESS_KEY }}>"}}


def test_only_what_is_named_can_be_read() -> None:
    environ = {
        "PUSH_DISPATCH_TABLE": "t",
        "PUSH_DISPATCH_TEMPLATE_ENV": "STAGE, REGION",
        "STAGE": "prod",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    allowed = Settings.from_env(environ).template_env
    assert allowed == {"STAGE": "prod"}
    job = job_for(RUN, Attempt(1, "process"), TEMPLATE, secrets_from({}), env=allowed)
    assert (job.configuration["a"], job.configuration["b"]) == ("prod", "<>")


def test_nothing_can_be_read_unless_it_is_named() -> None:
    assert Settings.from_env({"PUSH_DISPATCH_TABLE": "t", "STAGE": "prod"}).template_env == {}
    job = job_for(RUN, Attempt(1, "process"), TEMPLATE, secrets_from({}))
    assert (job.configuration["a"], job.configuration["b"]) == ("", "<>")
