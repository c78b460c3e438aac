"""Does the value of a secret stay out of everything that is kept, sent to ourselves, or logged?

Job variables are generated for every platform, with references to one secret in them wherever a
template takes them, and pushed by the engine to the platform's fake. What the platform itself is
sent is not looked at: it may hold the value, as it must.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.control.pools import create_pool
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.model import Pool
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.hints import hints_of
from push_dispatch.engine.submit import submit
from push_dispatch.handlers.push import handle
from push_dispatch.platforms.base import Platform
from push_dispatch.platforms.process import Process
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Message, Wake, encode
from tests.fakes.memory.store import MemoryStore
from tests.integration.test_every_platform import ROWS, Row

CANARY = "S3cr3t'\"C4n4ry\\of/the:mine"
REFERENCES = st.sampled_from(
    [
        "{{ secrets.x }}",
        "a {{ secrets.x }}",
        "{{secrets.x}}-b",
        "'{{ secrets.x }}",
    ]
)
VALUES = st.recursive(
    REFERENCES | st.sampled_from([None, True, 0, 1.5, -1, "", "x", "2", "'"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("AB"), inner),
    max_leaves=3,
)


class Mail:
    """Keeps the messages of the engine to itself."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        self.sent += messages

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        pass


class Heard(logging.Handler):
    """What is logged, with tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.type)
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    return found


@pytest.fixture(scope="module")
def platform(row: Row) -> Iterator[Platform]:
    with row.make() as fake:
        made = row.connect(fake)
        yield made
    if isinstance(made, Process):
        for child in made._children.values():
            child.wait(30)  # Nobody watches them here.


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_secret_is_kept_or_logged(row: Row, platform: Platform, data: st.DataObject) -> None:
    template = _taking_secrets(default_template(row.type))
    names = sorted(template["variables"]["properties"])
    drawn = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3))
    environment = {"env": {"KEY": data.draw(REFERENCES)}}
    store, mail, heard = MemoryStore(), Mail(), Heard()
    ports = _ports(store, mail, platform)
    create_pool(ports, Pool("p", row.type, secrets=("*",)), template)
    root = logging.getLogger()
    root.addHandler(heard)
    try:
        variables = {"command": "true", **row.variables, **environment, **drawn}
        submit(ports, Request("p", variables=variables))
        _push(ports, store, mail)
    finally:
        root.removeHandler(heard)
    kept = [repr(run) for run in store.list_runs("p")] + [encode(m) for m in mail.sent]
    for text in [*kept, *heard.lines]:
        assert not any(CANARY[n : n + 8] in text for n in range(len(CANARY) - 8)), text


def _taking_secrets(template: dict[str, Any]) -> dict[str, Any]:
    """An owner who lets every variable refer to secrets."""
    properties = template["variables"]["properties"]
    taking = {name: {**declared, "x-secrets": True} for name, declared in properties.items()}
    return {**template, "variables": {**template["variables"], "properties": taking}}


def _ports(store: MemoryStore, mail: Mail, platform: Platform) -> Ports:
    numbers = iter(range(10**6))
    return Ports(
        store=store,
        messages=mail,
        clock=lambda: 1_800_000_000_000,
        new_id=lambda: f"0199c1f0-0000-7000-8000-{next(numbers):012d}",
        platform=lambda _name: platform,
        secrets=secrets_from(
            {"PUSH_DISPATCH_SECRETS": "env", "PUSH_DISPATCH_SECRET_x": CANARY},
        ),
    )


def _push(ports: Ports, store: MemoryStore, mail: Mail) -> None:
    for pool, hints in hints_of(store.changes).items():
        dispatch(ports, pool, hints)
    for number, message in enumerate(list(mail.sent)):
        body = {"messageId": str(number), "body": encode(message)}
        attributes = {"attributes": {"ApproximateReceiveCount": "1"}}
        with suppress(PushDispatchError):
            handle(ports, {"Records": [body | attributes]})
