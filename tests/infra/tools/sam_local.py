"""Does `sam local invoke` work with each file in events/? In real containers, with a real effect.

Run by `.ci/steps/58-sam-local.sh`, which brings a container engine. The image is made on the spot
(`tests.infra.tools.lambda_image`); table and queues are MiniStack's, in a container of its own
beside the functions, as a container does not reach this machine's loopback. The functions are built
for this machine instead of arm64, and the built template is told so; nothing else of it is changed.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import docker

from push_dispatch.bootstrap import ports_for
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import create_pool
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.events import Claim, Pushed
from push_dispatch.core.model import Pool, Run
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.engine.submit import prepare
from push_dispatch.engine.transition import transition
from push_dispatch.local.queues import create_queue
from push_dispatch.ports import Ports
from push_dispatch.ports.settings import Settings
from tests.engine import engine
from tests.infra.tools.lambda_image import archive
from tests.infra.tools.lambda_runtime import runtime_client
from tests.infra.tools.stack import KEYS
from tests.local import eventually
from tests.ministack import client, table

ROOT = Path(__file__).parents[3]
IMAGE = "localhost/pd-lambda"
#: The run that the files are about, and when it is due.
UUID, DUE = "0199c1f0-0000-7000-8000-000000000001", 1_764_000_000_000
#: The task of `queue-ecs-task-stopped`: an end of another task is none of the attempt.
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/0123456789abcdef0123456789abcdef"
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}
NOTHING_FAILED: dict[str, Any] = {"batchItemFailures": []}
_PORT = 4566


@dataclass(frozen=True)
class Backend:
    """Table and queues, as they are seen from here and from the functions."""

    ports: Ports
    settings: Settings
    endpoint: str
    address: str

    def messages(self, url: str) -> list[Any]:
        sqs = client("sqs", self.endpoint)
        reply = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        found: list[Any] = reply.get("Messages", [])
        return found

    @property
    def runs(self) -> list[Run]:
        return list(self.ports.store.list_runs("etl"))


@dataclass(frozen=True)
class Sam:
    """The SAM command line, in front of this engine."""

    build: Path
    environ: dict[str, str]
    address: str
    folder: Path

    def invoke(self, function: str, event: str) -> Any:
        """What the function returns for events/EVENT.json."""
        arguments = [
            "local",
            "invoke",
            function,
            f"--event={ROOT / 'events' / f'{event}.json'}",
            f"--template={self.build / 'template.yaml'}",
            f"--env-vars={self.folder / 'environment.json'}",
            f"--invoke-image={IMAGE}:1",
            f"--add-host=aws:{self.address}",
            "--container-host=127.0.0.1",
            "--skip-pull-image",
        ]
        done = _sam(self.environ, arguments)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.splitlines()[-1])
        print(f"--- {function} {event}: {answer}", flush=True)
        assert "errorMessage" not in answer, done.stderr
        return answer


def main() -> None:
    """Every file once, in an order that makes sense; raises what goes wrong."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        build = _build(folder)
        with engine(folder) as podman:
            engine_client = docker.DockerClient(base_url=f"unix://{podman.socket}", timeout=120)
            _import_image(engine_client, folder)
            with _aws(engine_client) as (endpoint, address):
                backend = _backend(endpoint, address)
                (folder / "environment.json").write_text(json.dumps(_environment(backend)))
                environ = _quiet() | KEYS | podman.environ
                sam = Sam(build, environ, address, folder)
                _requests(sam, backend)
                _a_life(sam, backend)
    print("every file in events/ does in a container what it shows")


def _requests(sam: Sam, backend: Backend) -> None:
    assert sam.invoke("SubmitFunction", "queue-run-requested") == NOTHING_FAILED
    [run] = backend.runs
    assert run.tags == ("from-the-bus",)
    assert sam.invoke("SubmitFunction", "queue-run-requested-wrong") == NOTHING_FAILED
    [refused] = backend.messages(backend.settings.rejected_queue)
    assert refused["MessageAttributes"]["reason"]["StringValue"] == "pool_not_found", refused
    assert sam.invoke("SubmitFunction", "scheduler-firing")["created"] is True
    assert sam.invoke("SubmitFunction", "queue-s3-upload-mapped") == NOTHING_FAILED
    assert {run.deployment for run in backend.runs} == {"", "nightly", "ingest"}
    listed = json.loads(sam.invoke("ApiFunction", "http-list-pools")["body"])
    assert [pool["name"] for pool in listed["items"]] == ["etl"]
    assert sam.invoke("ApiFunction", "http-submit")["statusCode"] == 201


def _a_life(sam: Sam, backend: Backend) -> None:
    store = backend.ports.store
    assert sam.invoke("PushEcsFunction", "queue-push") == NOTHING_FAILED
    [wake] = backend.messages(backend.settings.wake_queue)
    assert json.loads(wake["Body"])["pool"] == "etl", wake
    signed_in = sam.invoke("PushEcsFunction", "sign-in")
    assert signed_in["ecs"]["ok"] is True, signed_in
    # The template's defaults have no subnets, and so no cluster of the stack's own.
    assert signed_in["managed"]["reason"] == "platform_not_configured", signed_in
    _stored(backend)
    assert sam.invoke("DispatchFunction", "stream-run-submitted") == NOTHING_FAILED
    assert UUID in {holder.run for holder in store.ledger("etl").holders}, store.ledger("etl")
    assert sam.invoke("DispatchFunction", "queue-wake") == NOTHING_FAILED
    assert sam.invoke("NotifyFunction", "stream-run-submitted") == NOTHING_FAILED
    claim = Claim(1, "ecs", "ecs", "t", "c", backend.ports.clock() + 60_000)
    transition(backend.ports, "etl", UUID, claim)
    transition(backend.ports, "etl", UUID, Pushed(1, TASK))
    assert sam.invoke("FinishFunction", "queue-ecs-task-stopped") == NOTHING_FAILED
    [ended] = [run for run in backend.runs if run.uuid == UUID]
    assert (ended.state.value, ended.reason) == ("COMPLETED", "completed"), ended
    swept = sam.invoke("SweepFunction", "schedule-sweep")
    assert (swept["pools"], swept["failed"]) == (1, []), swept


def _stored(backend: Backend) -> None:
    """Submit the run that the files are about."""
    ports = replace(backend.ports, new_id=lambda: UUID)
    pool = ports.store.pool("etl")
    assert pool is not None
    request = Request("etl", variables={"command": "python job.py"})
    ports.store.add_run(replace(prepare(ports, pool, request), due=DUE))


# -- what it takes ----------------------------------------------------------------------------


def _build(folder: Path) -> Path:
    build = folder / "build"
    environ = _quiet() | KEYS | {"LAMBDA_TARGET": f"--python {sys.executable}"}
    done = _sam(environ, ["build", f"--build-dir={build}"])
    assert done.returncode == 0, done.stderr
    template = build / "template.yaml"
    here = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    template.write_text(template.read_text().replace("- arm64", f"- {here}"))
    return build


def _import_image(engine_client: docker.DockerClient, folder: Path) -> None:
    packages = next((ROOT / ".envs/ministack/lib").glob("python*/site-packages"))
    archive(folder / "image.tar", runtime_client(folder), folder / "build", packages)
    message = engine_client.api.import_image_from_file(
        str(folder / "image.tar"),
        repository=IMAGE,
        changes=["ENV PATH=/bin", f"ENV AWS_ENDPOINT_URL=http://aws:{_PORT}"],
    )
    image = json.loads(message.splitlines()[-1])["id"]
    engine_client.images.get(image).tag(IMAGE, "1")


@contextmanager
def _aws(engine_client: docker.DockerClient) -> Iterator[tuple[str, str]]:
    """MiniStack in a container: its endpoint for us, and its address for other containers."""
    container = engine_client.containers.run(
        f"{IMAGE}:1",
        [os.path.realpath(sys.executable), "-S", "-m", "ministack"],
        # All interfaces of the container, whose port is on this machine's loopback only.
        environment={
            "PYTHONPATH": "/opt/python",
            "GATEWAY_PORT": str(_PORT),
            "BIND_HOST": "0.0.0.0",
        },
        ports={f"{_PORT}/tcp": ("127.0.0.1", 0)},
        detach=True,
    )
    try:
        container.reload()
        network = container.attrs["NetworkSettings"]
        endpoint = f"http://127.0.0.1:{network['Ports'][f'{_PORT}/tcp'][0]['HostPort']}"
        eventually(lambda: _answers(endpoint))
        yield endpoint, network["IPAddress"]
    finally:
        container.remove(force=True)


def _answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2):
            return True
    except OSError:
        return False


def _backend(endpoint: str, address: str) -> Backend:
    table(endpoint, "pools")
    sqs = client("sqs", endpoint)
    urls = {name: create_queue(sqs, name, 5) for name in ("wake", "ecs", "rejected")}
    settings = Settings(
        table="pools",
        wake_queue=urls["wake"],
        platform_queues={"ecs": urls["ecs"]},
        rejected_queue=urls["rejected"],
    )
    session = boto3.Session("test", "test", region_name="us-east-1")
    ports = ports_for(settings, session, endpoint)
    create_pool(ports, Pool("etl", "ecs"), TEMPLATE)
    save_deployment(ports, Deployment("ingest", "etl", command="python ingest.py"))
    nightly = (Schedule(cron="0 3 * * *"),)
    save_deployment(ports, Deployment("nightly", "etl", command="python x.py", schedules=nightly))
    return Backend(ports, settings, endpoint, address)


def _environment(backend: Backend) -> dict[str, dict[str, str]]:
    settings = backend.settings
    variables = {
        "PUSH_DISPATCH_TABLE": settings.table,
        "PUSH_DISPATCH_WAKE_QUEUE": settings.wake_queue,
        "PUSH_DISPATCH_PLATFORM_QUEUES": json.dumps(dict(settings.platform_queues)),
        "PUSH_DISPATCH_REJECTED_QUEUE": settings.rejected_queue,
        "PUSH_DISPATCH_EVENT_BUS": "default",
    }
    return {"Parameters": variables}


def _quiet() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PUSH_DISPATCH_"))}
    return kept | {"SAM_CLI_TELEMETRY": "0"}


def _sam(environ: dict[str, str], arguments: list[str]) -> subprocess.CompletedProcess[str]:
    program = str(ROOT / ".envs/sam/bin/sam")
    return subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


if __name__ == "__main__":
    main()
