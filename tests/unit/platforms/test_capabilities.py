"""Does a platform keep what it can do, whoever wrote it and however it is wrapped?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, cast

import pytest
from boto3 import Session

from push_dispatch.bootstrap import ports_for
from push_dispatch.cli.commands.platforms import ls
from push_dispatch.core.errors import Invalid, Rejected
from push_dispatch.core.reasons import REASONS
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit
from push_dispatch.platforms import registry, shared
from push_dispatch.platforms.base import Capabilities, Job
from push_dispatch.platforms.capabilities import capabilities_of, check_capabilities, finder
from push_dispatch.platforms.registry import entries, load
from push_dispatch.ports.secrets import Secrets
from push_dispatch.ports.settings import Settings
from tests.fakes.memory_platform import MemoryPlatform
from tests.fakes.third_party import Install, installed
from tests.fakes.world import POOL, World


class Old:
    """From before there was a declaration."""

    name: ClassVar[str] = "theirs"
    passes_secrets: ClassVar[bool] = True

    def __init__(self, environ: Mapping[str, str]) -> None:
        pass

    def find(self, job: Job) -> str | None:
        return f"found {job.name}"

    def logs(self, handle: str) -> Iterator[str]:
        yield handle


class New(Old):
    capabilities: ClassVar[Capabilities] = Capabilities(finds_by_name=True, reads_logs=True)


class Wrapped:
    """Passes on what it does not have itself."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


WAS = Capabilities(finds_by_name=True, reads_logs=True, passes_secrets=True)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        (Old({}), WAS),
        (Wrapped(Old({})), WAS),
        (New({}), New.capabilities),
        (Wrapped(New({})), New.capabilities),
        (Wrapped(Wrapped(New({}))), New.capabilities),
        (object(), Capabilities()),
    ],
    ids=["old", "wrapped old", "new", "wrapped new", "wrapped twice", "nothing"],
)
def test_what_a_platform_can_do_is_seen_through_whatever_wraps_it(
    platform: object, expected: Capabilities
) -> None:
    assert capabilities_of(platform) == expected
    check_capabilities(platform)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.platform)
def test_each_of_our_classes_has_what_its_entry_declares(entry: registry.Entry) -> None:
    module, _, name = entry.target.partition(":")
    platform = getattr(import_module(module), name)
    assert capabilities_of(platform) is entry.capabilities
    check_capabilities(platform)


def _class(declared: object, *without: str) -> type:
    methods = {name: getattr(Old, name) for name in ("find", "logs") if name not in without}
    return type("Theirs", (), {"name": "theirs", "capabilities": declared, **methods})


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        (_class(New.capabilities, "find"), "finds_by_name=True and has no method `find`"),
        (_class(Capabilities(reads_logs=True)), "has a method `find` and does not declare"),
        (_class({"finds_by_name": True}), "is a dict, not a push_dispatch.platforms.base.Capab"),
    ],
    ids=["declared and missing", "there and not declared", "no Capabilities"],
)
def test_a_platform_that_declares_something_else_than_it_has_is_refused_when_it_is_loaded(
    platform: type, words: str, install: Install
) -> None:
    install(lambda environ: platform())
    with pytest.raises(Invalid, match=words) as caught:
        load("theirs", {})
    assert "'theirs'" in caught.value.message
    assert caught.value.reason == "platform_misdeclared"
    assert caught.value.reason in REASONS


def test_a_wrapper_of_somebody_else_is_loaded_with_all_that_it_wraps(install: Install) -> None:
    install(lambda environ: Wrapped(Old(environ)))
    platform = load("theirs", {})
    assert capabilities_of(platform) == WAS
    assert finder(platform) is not None


def test_only_a_platform_that_takes_the_systems_secrets_gets_them(install: Install) -> None:
    """One that is older than this parameter goes on with the environment alone, keywords or not."""

    class Signing(New):
        def __init__(self, environ: Mapping[str, str], secrets: Secrets) -> None:
            super().__init__(environ)
            self.token = shared.secret_named(secrets, environ, "TOKEN_NAME")

    class Older(New):
        def __init__(self, environ: Mapping[str, str], clock: Any = time.time, **_: Any) -> None:
            super().__init__(environ)
            self.clock = clock

    install(Signing)
    environ = {"TOKEN_NAME": "theirs", "PUSH_DISPATCH_SYSTEM_SECRET_theirs": "s3cret"}
    settings = Settings("table", environ={**environ, "PUSH_DISPATCH_SECRETS": "env"})
    ports = ports_for(settings, Session(region_name="eu-west-1"), "http://127.0.0.1:9")
    assert cast("Signing", ports.platform("theirs")).token == "s3cret"
    with pytest.raises(Rejected, match="secret 'theirs' cannot be read: create 'theirs' in"):
        load("theirs", environ)
    install(Older)
    assert cast("Older", load("theirs", environ)).clock is time.time


def test_the_list_shows_what_platforms_of_others_can_do_and_survives_broken_ones(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    for factory, expected in (
        (New, ["finds_by_name", "reads_logs"]),
        (lambda environ: 1 / 0, None),
    ):
        install(factory)
        ls(json=True)
        [theirs] = [e for e in json.loads(capsys.readouterr().out) if e["platform"] == "theirs"]
        assert theirs["capabilities"] == expected
        ls()
        assert ("finds by name, reads logs" if expected else "unknown") in capsys.readouterr().out


@pytest.mark.parametrize("wrap", [lambda it: it, Wrapped], ids=["as it is", "wrapped"])
def test_a_wrapped_platform_settles_a_lost_reply_by_looking_before_it_sends(wrap: Any) -> None:
    """The platform starts whatever it is sent: only `find` keeps it from a second start."""

    class Forgetful(MemoryPlatform):
        def push(self, job: Job) -> str:
            if job.name in self.containers:
                self.starts[job.name] += 1
            return super().push(job)

    platform = Forgetful(failures=["lost"])
    world = World(platform=wrap(platform))
    submit(world.ports, Request(POOL))
    for _ in range(3):
        world.deliver_all()
        world.now += 10_000
    assert list(platform.starts.values()) == [1]
    [run] = world.runs()
    assert run.current is not None
    assert run.current.handle is not None


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    with installed(monkeypatch) as install:
        yield install
