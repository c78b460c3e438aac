"""Does a platform keep the promises of `push_dispatch.platforms.base`?

Subclass `PlatformContract` in a test module, point it at a fake of the platform that speaks the
real wire protocol, and run it with pytest:

    class TestMine(PlatformContract):
        platform_type = "mine"

        @pytest.fixture
        def fake(self) -> Iterator[FakeMine]:
            with FakeMine() as fake:
                yield fake

        def connect(self, fake: FakeMine) -> Platform:
            return Mine({"MINE_ENDPOINT": fake.url})

        def disconnected(self) -> Platform:
            return Mine({"MINE_ENDPOINT": "http://127.0.0.1:1"})

        def unknown_handle(self, fake: FakeMine) -> str:
            return "jobs/never-was"

What the platform cannot do (an optional capability it lacks) is skipped.
"""

from __future__ import annotations

import pytest

from push_dispatch.insight.logs import Unseen
from push_dispatch.platforms.base import Platform, Status
from push_dispatch.platforms.capabilities import (
    check_capabilities,
    cleaner,
    event_parser,
    log_reader,
    price_list,
)
from push_dispatch.testing.platform_fake import (
    ChecksCredentials,
    PlatformFake,
    RecordsEvents,
    RecordsLogs,
    eventually,
    settle,
)
from push_dispatch.testing.platform_life import LifeContract
from push_dispatch.testing.platform_push import PushContract
from push_dispatch.testing.platform_sign_in import SignInContract

__all__ = [
    "ChecksCredentials",
    "PlatformContract",
    "PlatformFake",
    "RecordsEvents",
    "RecordsLogs",
    "eventually",
    "settle",
]


class PlatformContract(PushContract, LifeContract, SignInContract):
    """The promises of a platform, one test each; see the module for how to subclass it."""

    # -- optional capabilities -------------------------------------------------------------------

    def test_what_is_declared_is_there_and_nothing_else(self, platform: Platform) -> None:
        check_capabilities(platform)

    def test_logs_are_what_was_written(self, platform: Platform, fake: PlatformFake) -> None:
        if (reader := log_reader(platform)) is None:
            pytest.skip("reads no logs")
        assert isinstance(fake, RecordsLogs)
        job = self.make_job(1)
        handle = platform.push(job)
        assert list(reader.logs(handle)) == []
        fake.begin(job.name)
        lines = [f"line {n}: äöü" for n in range(25)]
        for line in lines:
            fake.write_log(job.name, line)
        fake.finish(job.name, 0)
        assert list(reader.logs(handle)) == lines
        assert list(reader.logs(self.unknown_handle(fake))) == []

    def test_a_log_that_is_followed_comes_once_and_to_its_end(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        if (reader := log_reader(platform)) is None:
            pytest.skip("reads no logs")
        assert isinstance(fake, RecordsLogs)
        job = self.make_job(1)
        handle = platform.push(job)
        unseen = Unseen()
        found = unseen.of(reader.logs(handle), over=False)
        fake.begin(job.name)
        lines = [f"line {n}" for n in range(5)]
        for line in lines[:4]:
            fake.write_log(job.name, line)
            found += unseen.of(reader.logs(handle), over=False)
        fake.write_log(job.name, lines[4])
        fake.finish(job.name, 0)
        found += unseen.of(reader.logs(handle), over=True)
        assert found == lines

    def test_events_tell_the_same_as_observe(self, platform: Platform, fake: PlatformFake) -> None:
        if (parser := event_parser(platform)) is None:
            pytest.skip("reports no events")
        assert isinstance(fake, RecordsEvents)
        job = self.make_job(1)
        handle = platform.push(job)
        fake.begin(job.name)
        fake.finish(job.name, 3)
        parsed = [seen for event in fake.events(job.name) if (seen := parser.parse(event))]
        assert {(seen.run_id, seen.attempt) for seen in parsed} == {(job.run_id, job.attempt)}
        assert {seen.handle for seen in parsed} == {handle}
        last = parsed[-1]
        assert (last.status, last.exit_code, last.reason) == (Status.ENDED, 3, None)
        assert parser.parse({}) is None
        assert parser.parse({"source": "elsewhere", "detail": {"name": job.name}}) is None

    def test_clean_up_leaves_nothing_and_may_be_repeated(
        self, platform: Platform, fake: PlatformFake
    ) -> None:
        if (cleans := cleaner(platform)) is None:
            pytest.skip("nothing to clean up")
        job = self.make_job(1)
        handle = platform.push(job)
        fake.begin(job.name)
        fake.finish(job.name, 0)
        eventually(lambda: self.see(platform, job, handle).status is Status.ENDED)
        cleans.clean_up(handle)
        assert fake.leftovers() == []
        cleans.clean_up(handle)
        cleans.clean_up(self.unknown_handle(fake))

    def test_cost_grows_with_time(self, platform: Platform) -> None:
        if (prices := price_list(platform)) is None:
            pytest.skip("estimates no cost")
        configuration = self.make_job(1).configuration
        hour = prices.estimate_cost(configuration, 3600)
        day = prices.estimate_cost(configuration, 86_400)
        assert hour is not None
        assert day is not None
        assert 0 < hour < day

    # -- the default template --------------------------------------------------------------------

    def test_template_accepts_its_own_defaults(self) -> None:
        jsonschema = pytest.importorskip("jsonschema")
        variables = self.template()["variables"]
        jsonschema.Draft202012Validator.check_schema(variables)
        defaults = {
            name: schema["default"]
            for name, schema in variables["properties"].items()
            if "default" in schema
        }
        schema = {key: value for key, value in variables.items() if key != "required"}
        jsonschema.Draft202012Validator(schema).validate(defaults)
        jsonschema.Draft202012Validator(variables).validate(defaults | dict(self.variables))

    def test_template_has_the_common_variables_and_explains_each(self) -> None:
        properties = self.template()["variables"]["properties"]
        assert {"name", "env", "labels", "command"} <= set(properties)
        silent = [name for name, schema in properties.items() if not schema.get("description")]
        assert silent == []
