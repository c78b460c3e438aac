"""`sam deploy` of the template as it is, to MiniStack; and then the stack has to work.

Run by `.ci/steps/55-sam-deploy.sh`, which builds the two environments that it takes. First what is
there is looked at. Then MiniStack itself executes the functions, calls them on the stream's, the
queues', the buses' and the schedule's behalf, and requests on the bus become runs that end. The
functions are built for the interpreter at hand, as there is none for arm64 here; that the build
for Lambda can be made is seen by `.ci/steps/50-sam.sh`. In place of ECS, which tells nobody of
its tasks in MiniStack, is the project's own fake.

What MiniStack 1.5.33 cannot do, and where it is covered:

- Lambda's own runtime client; partial batch responses, halving of batches, a limit of retries and
  the on-failure queue of a stream: `tests.infra.tools.runtime`, which has the same functions
  executed by `awslambdaric` and called by the project's own pumps, with the mappings' deployed
  settings.
- `MaximumConcurrency` of a queue's mapping when a parameter of the template says it: the parameter
  stays text, and no queue after it is served. Said again as a number after the deployment, below.
- ECS task state changes, request tokens, exit codes: the fake of ECS, here and there. Its events
  cannot be put on a bus by anybody but AWS: the deployed rule's pattern is asked, by
  TestEventPattern, and what it matches is sent to the rule's target.
- A list parameter that is empty: the condition on it holds, so the `managed` cluster is there
  although no subnet is given. Not covered: nothing here runs in it.
- Signatures of requests to the API: a request without one is refused, but any one will do.
- IAM: any credentials may do everything. tests/infra/test_template.py reads the policies.
- Point-in-time recovery and expiry of a table that a template declares: `push-dispatch doctor`
  warns of them here. tests/infra/test_parity.py reads what is declared.
- Memory size, architecture and version of Python of a function. Not covered without AWS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.ecs import FakeEcs
from tests.infra.tools.runtime import Runtime
from tests.infra.tools.scenario import (
    requests_become_runs_that_finish,
    the_doctor_finds_nothing_wrong,
    what_is_wrong_is_set_aside,
)
from tests.infra.tools.stack import KEYS, Stack, deployed, repair_mappings
from tests.local import eventually
from tests.ministack import client, ministack

ROOT = Path(__file__).parents[3]
STACK = "push-dispatch"
#: Those that are deployed when all parameters but that for the API are left at their defaults.
FUNCTIONS = {
    "ApiFunction": "api",
    "DispatchFunction": "dispatch",
    "FinishFunction": "finish",
    "NotifyFunction": "notify",
    "PushEcsFunction": "push",
    "SubmitFunction": "submit",
    "SweepFunction": "sweep",
}


def main() -> None:
    """Deploy, look, and use; raises what goes wrong."""
    with tempfile.TemporaryDirectory() as made, FakeEcs() as ecs:
        folder = Path(made)
        elsewhere = {f"AWS_ENDPOINT_URL_{name}": ecs.url for name in ("ECS", "EC2")}
        # MiniStack unpacks functions for each of their workers, and leaves them there.
        unpacked = {"TMPDIR": str(folder)}
        python = ROOT / ".envs/ministack/bin/python"
        with ministack(python, elsewhere | unpacked) as endpoint:
            _deploy(endpoint, folder / "build")
            stack = deployed(STACK, endpoint, ecs, folder)
            _check(stack)
            _say("deployed, and everything is there")
            repair_mappings(endpoint)
            requests_become_runs_that_finish(stack, "by-emulator")
            what_is_wrong_is_set_aside(stack, "by-emulator")
            _say("runs were dispatched and finished by the deployed functions, in the emulator")
            _ask_the_api(stack)
            _say("and a run by the HTTP API")
            stack.take(stack.queues["RejectedQueue"])
            the_doctor_finds_nothing_wrong(stack, "recovery", "expiry")
            _say("the doctor finds nothing wrong")
            eventually(lambda: _sweeps(stack) > 0)
            _say("the schedule has called the sweep")
            with Runtime(stack, folder / "build", folder, elsewhere) as runtime:
                requests_become_runs_that_finish(stack, "by-runtime")
                what_is_wrong_is_set_aside(stack, "by-runtime")
                runtime.sweep()
                runtime.pass_over_a_bad_record()
            _say("and by the same functions in Lambda's runtime client")


def _deploy(endpoint: str, build: Path) -> None:
    env = _environment(endpoint)
    client("s3", endpoint).create_bucket(Bucket="artifacts")
    _sam(env | {"LAMBDA_TARGET": f"--python {sys.executable}"}, "build", f"--build-dir={build}")
    _sam(
        env,
        "deploy",
        f"--template-file={build / 'template.yaml'}",
        "--config-env=none",
        f"--stack-name={STACK}",
        "--s3-bucket=artifacts",
        "--capabilities",
        "CAPABILITY_IAM",
        "CAPABILITY_AUTO_EXPAND",
        "--parameter-overrides",
        "Api=http",
        "--no-confirm-changeset",
        "--no-progressbar",
    )


def _check(stack: Stack) -> None:
    handlers = {name: f["Handler"] for name, f in stack.functions.items()}
    expected = {n: f"push_dispatch.handlers.{module}.handler" for n, module in FUNCTIONS.items()}
    assert handlers == expected
    described = stack.client("dynamodb").describe_table(TableName=stack.outputs["TableName"])
    table = described["Table"]
    assert table["StreamSpecification"]["StreamEnabled"]
    sources = [mapping["EventSourceArn"] for mapping in stack.mappings]
    assert len([arn for arn in sources if arn == table["LatestStreamArn"]]) == 2, sources
    assert len([arn for arn in sources if ":sqs:" in arn]) == 4, sources
    assert len(stack.queues) == 7, stack.queues


def _ask_the_api(stack: Stack) -> None:
    """Submit a run by HTTP, once for two requests with the same key."""
    api = stack.client("apigatewayv2")
    [deployed_api] = api.get_apis()["Items"]
    [route] = api.get_routes(ApiId=deployed_api["ApiId"])["Items"]
    assert route["AuthorizationType"] == "AWS_IAM", route
    # Where MiniStack has what AWS has at the URL that the stack tells.
    assert deployed_api["ApiId"] in stack.outputs["ApiUrl"], stack.outputs
    base = f"{stack.endpoint}/_aws/execute-api/{deployed_api['ApiId']}/$default"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        _http("GET", f"{base}/v1/pools", signed=False)
    [pool, *_] = _http("GET", f"{base}/v1/pools")["items"]
    runs = f"{base}/v1/pools/{pool['name']}/runs"
    first, again = (_http("POST", runs, {"in_seconds": 3600}, key="by-http") for _ in range(2))
    assert first["run"]["id"] == again["run"]["id"]
    run = f"{runs}/{first['run']['id']}"
    assert _http("GET", f"{run}/explain")["reason"] == "not_due"
    assert _http("POST", f"{run}/cancel")["state"] == "CANCELLED"


def _http(method: str, url: str, body: Any = None, *, signed: bool = True, key: str = "") -> Any:
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    received = AWSRequest(method, url, sent, data)
    if signed:
        SigV4Auth(Credentials("test", "test"), "execute-api", KEYS["AWS_DEFAULT_REGION"]).add_auth(
            received
        )
    headers = dict(received.headers.items())
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _sweeps(stack: Stack) -> int:
    """How often the sweep has been called, by its log."""
    logs = stack.client("logs")
    group = stack.functions["SweepFunction"]["LoggingConfig"]["LogGroup"]
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    events = [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])[
            "events"
        ]
    ]
    assert not [line for line in events if '"level":"ERROR"' in line], events
    return len([line for line in events if line.startswith("END ")])


def _environment(endpoint: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return kept | KEYS | {"AWS_ENDPOINT_URL": endpoint, "SAM_CLI_TELEMETRY": "0"}


def _sam(env: dict[str, str], *arguments: str) -> None:
    program = str(ROOT / ".envs/sam/bin/sam")
    subprocess.run([program, *arguments], cwd=ROOT, env=env, check=True, timeout=300)


def _say(what: str) -> None:
    print(f"--- {what}", flush=True)


if __name__ == "__main__":
    main()
