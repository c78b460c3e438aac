"""Does the docker platform keep its promises, through the real client on a unix socket?"""

# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.platforms.base import Platform, Status
from push_dispatch.platforms.docker import Docker
from push_dispatch.platforms.docker.refusal import ERRORS, PULL_ERRORS
from push_dispatch.platforms.refusals import Reaction, judge
from push_dispatch.testing.platform_contract import PlatformContract, eventually
from tests.fakes.docker import FakeDocker
from tests.fakes.rest_server import Answer

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def _forgotten_sockets() -> Iterator[None]:
    """docker-py forgets sockets whose engine hung up: collected here, nobody else meets them."""
    yield
    gc.collect()


class DockerSuite(PlatformContract):
    platform_type = "docker"
    variables: ClassVar[Mapping[str, Any]] = {"image": "job:1", "command": "python -m etl"}

    @pytest.fixture
    def fake(self) -> Iterator[FakeDocker]:
        with FakeDocker() as fake:
            yield fake

    @pytest.fixture(autouse=True)
    def _connections(self) -> Iterator[None]:
        """A function's process keeps its connections until it ends; a test must close them."""
        self.made: list[Docker] = []
        yield
        for platform in self.made:
            if platform._connected is not None:
                platform._connected.close()

    def connect(self, fake: FakeDocker) -> Platform:
        self.made.append(Docker(fake.environ))
        return self.made[-1]

    def disconnected(self) -> Platform:
        self.made.append(Docker({"DOCKER_HOST": "unix:///nowhere/docker.sock"}))
        return self.made[-1]

    def without_credentials(self, fake: FakeDocker) -> Platform:
        """An engine that wants a certificate, and none is there."""
        nowhere = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nowhere"}
        return Docker({"DOCKER_HOST": "tcp://127.0.0.1:1", **nowhere})

    def unknown_handle(self, fake: FakeDocker) -> str:
        return "f" * 64


class TestDocker(DockerSuite):
    def test_an_image_that_is_missing_is_pulled_while_the_push_is_sent_again(
        self, platform: Platform, fake: FakeDocker
    ) -> None:
        fake.registry.add("job:2")
        job = self.make_job(1, image="job:2")
        eventually(lambda: _pushed(platform, job))
        assert fake.pulls == ["job:2"]
        assert fake.starts(job.name) == 1

    def test_an_image_that_does_not_exist_ends_the_attempt(
        self, platform: Platform, fake: FakeDocker
    ) -> None:
        with pytest.raises(Rejected) as caught:
            platform.push(self.make_job(1, image="nowhere:1"))
        assert caught.value.reason == "image_pull_failed"
        assert fake.leftovers() == []

    def test_somebody_elses_container_of_the_name_is_not_adopted(
        self, platform: Platform, fake: FakeDocker
    ) -> None:
        job = self.make_job(1)
        platform.push(job)
        fake._named(job.name).body["Labels"] = {}
        with pytest.raises(Rejected, match="another owner's"):
            platform.push(job)

    def test_killed_for_its_memory(self, platform: Platform, fake: FakeDocker) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        fake.finish(job.name, 137)
        fake._named(job.name).oom = True
        end = self.see(platform, job, handle)
        assert (end.status, end.reason) == (Status.ENDED, "out_of_memory")

    @pytest.mark.parametrize("ask", ["push", "sign_in"])
    @pytest.mark.parametrize(
        "environ",
        [
            {"DOCKER_HOST": "nonsense://engine"},
            {
                "DOCKER_HOST": "tcp://127.0.0.1:1",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": "/no",
            },
        ],
    )
    def test_an_environment_that_names_no_engine_is_what_is_wrong(
        self, environ: dict[str, str], ask: str
    ) -> None:
        docker = Docker(environ)
        with pytest.raises(Rejected, match="DOCKER_") as caught:
            docker.push(self.make_job(1)) if ask == "push" else docker.sign_in()
        assert caught.value.reason == "credentials_missing"

    def test_sign_in_asks_for_the_version(self, platform: Platform, fake: FakeDocker) -> None:
        assert isinstance(platform, Docker)
        assert platform.sign_in() == f"the engine 27.0 answers at unix://{fake.socket}"
        fake.refuse_next(Answer(500, {"message": "something odd"}), "GET", "/version")
        with pytest.raises(Uncertain) as caught:
            platform.sign_in()
        assert caught.value.reason == "platform_unavailable"
        assert "looked up" not in caught.value.message

    @pytest.mark.parametrize(
        ("status", "message", "error", "reason"),
        [
            (400, "invalid reference format", Rejected, "platform_rejected"),
            (403, "authorization denied by plugin", Rejected, "access_denied"),
            (404, "network nowhere not found", Rejected, "platform_rejected"),
            (
                500,
                "failed to create endpoint x on network docker_gwbridge: adding interface veth to bridge docker_gwbridge failed: exchange full",
                NoCapacity,
                "no_capacity",
            ),
            (
                500,
                "driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
                NoCapacity,
                "no_capacity",
            ),
            (
                500,
                'could not select device driver "nvidia" with capabilities: [[gpu]]',
                Rejected,
                "platform_rejected",
            ),
            (
                500,
                "error while creating mount source path '/x': mkdir /x: permission denied",
                Rejected,
                "platform_rejected",
            ),
            (500, "the network of the host is unwell", Uncertain, "push_uncertain"),
            (400, "x: permission denied: unknown", Rejected, "command_not_found"),
            (409, "container is being changed", Throttled, "platform_throttled"),
            (429, "too many requests", Throttled, "platform_throttled"),
            (500, "no space left on device", NoCapacity, "no_capacity"),
            (500, "cannot allocate memory", NoCapacity, "no_capacity"),
            (500, "something odd", Uncertain, "push_uncertain"),
            (503, "the engine is starting", Throttled, "platform_unavailable"),
        ],
    )
    def test_each_refusal_has_its_reason_and_reaction(
        self,
        platform: Platform,
        fake: FakeDocker,
        status: int,
        message: str,
        error: type[PlatformError],
        reason: str,
    ) -> None:
        job = self.make_job(1)
        fake.refuse_next(Answer(status, {"message": message}), "POST", "/containers/create")
        with pytest.raises(error) as caught:
            platform.push(job)
        assert (type(caught.value), caught.value.reason) == (error, reason)
        assert fake.starts(job.name) == 0

    @pytest.mark.parametrize(
        ("message", "reaction"),
        [
            (
                "Get https://registry-1.docker.io/v2/library/nginx/manifests/latest: received unexpected HTTP status: 503 Service Unavailable",
                Reaction.RETRY,
            ),
            ("Get https://registry-1.docker.io/v2/: EOF", Reaction.RETRY),
            (
                'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 127.0.0.11:53: server misbehaving',
                Reaction.RETRY,
            ),
            (
                'Get "https://registry-1.docker.io/v2/": dial tcp 34.1.1.1:443: connect: network is unreachable',
                Reaction.RETRY,
            ),
            ("something that nobody has seen before", Reaction.RETRY),
            ("toomanyrequests: You have reached your pull rate limit.", Reaction.RETRY),
            ("write /var/lib/docker/tmp/x: no space left on device", Reaction.CAPACITY),
            (
                "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                Reaction.PERMANENT,
            ),
            ("manifest for x:y not found: manifest unknown: manifest unknown", Reaction.PERMANENT),
            (
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                Reaction.PERMANENT,
            ),
            # Near misses: names that look like causes.
            (
                "received unexpected HTTP status: 502 Bad Gateway, docker.io/acme/denied:1",
                Reaction.RETRY,
            ),
            ("manifest for acme/timeout-503:1 not found", Reaction.PERMANENT),
        ],
    )
    def test_of_a_pull_only_what_is_listed_is_final(self, message: str, reaction: Reaction) -> None:
        assert judge(PULL_ERRORS, 0, message).reaction is reaction

    def test_a_container_of_the_same_name_exists_and_a_busy_port_does_not(self) -> None:
        busy = 'Conflict. The container name "/x" is already in use by container "3d8".'
        assert judge(ERRORS, 409, busy).reaction is Reaction.EXISTS

    @pytest.mark.parametrize(("code", "reason"), [(0, None), (3, None), (137, "out_of_memory")])
    def test_the_exit_code_decides_unless_it_was_killed(
        self, platform: Platform, fake: FakeDocker, code: int, reason: str | None
    ) -> None:
        job = self.make_job(1)
        handle = platform.push(job)
        fake.finish(job.name, code)
        fake._named(job.name).oom = True
        end = self.see(platform, job, handle)
        assert (end.exit_code, end.reason) == (code, reason)

    def test_values_that_are_no_text_are_json(self, platform: Platform, fake: FakeDocker) -> None:
        job = self.make_job(1, env={"ON": True, "X": {"a": 1}, "OFF": None})
        platform.push(job)
        seen = fake.environment(job.name)
        assert (seen["ON"], seen["X"], "OFF" in seen) == ("true", '{"a": 1}', False)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"env": ["A=1"]}, "env is not an object"),
            ({"labels": ["a"]}, "labels is not an object"),
            ({"command": "echo 'open"}, "command cannot be split"),
            ({"container_create_kwargs": {"environment": "A"}}, "no request can be made"),
        ],
    )
    def test_what_cannot_be_a_container_is_refused_before_anything_is_asked(
        self, platform: Platform, fake: FakeDocker, more: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(Rejected, match=words) as caught:
            platform.push(self.make_job(1, **more))
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({}, ["host.docker.internal:host-gateway"]),
            ({"network_mode": "none"}, None),
            (
                {"container_create_kwargs": {"extra_hosts": ["a:1.2.3.4"]}},
                ["a:1.2.3.4", "host.docker.internal:host-gateway"],
            ),
        ],
    )
    def test_the_engine_s_host_has_a_name(
        self, platform: Platform, fake: FakeDocker, more: dict[str, Any], expected: Any
    ) -> None:
        job = self.make_job(1, **more)
        platform.push(job)
        [request] = fake.requests(job.name)
        assert isinstance(request, dict)
        hosts = request["HostConfig"].get("ExtraHosts")
        assert (sorted(hosts) if hosts else None) == expected

    def test_a_command_that_does_not_exist_leaves_nothing_behind(
        self, platform: Platform, fake: FakeDocker
    ) -> None:
        refusal = Answer(400, {"message": 'exec: "etl": executable file not found in $PATH'})
        fake.refuse_next(refusal, "POST", "/start")
        with pytest.raises(Rejected) as caught:
            platform.push(self.make_job(1))
        assert caught.value.reason == "command_not_found"
        assert fake.leftovers() == []


def _pushed(platform: Platform, job: Any) -> bool:
    try:
        platform.push(job)
    except Throttled as error:
        return error.reason != "image_pulling"
    return True
