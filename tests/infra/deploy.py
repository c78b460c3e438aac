"""`sam deploy` of the template as it is, to MiniStack, and a look at what is there then.

Run by `.ci/steps/55-sam-deploy.sh`, which builds the two environments that it takes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.ministack import client, ministack

ROOT = Path(__file__).parents[2]
STACK = "push-dispatch"
#: Those that are deployed when all parameters are left at their defaults.
FUNCTIONS = {"Dispatch", "Finish", "Notify", "PushEcs", "Submit", "Sweep"}


def main() -> None:
    """Deploy and check; raises what goes wrong."""
    with ministack(ROOT / ".envs/ministack/bin/python") as endpoint:
        env = _environment(endpoint)
        client("s3", endpoint).create_bucket(Bucket="artifacts")
        _sam(env, "build")
        _sam(
            env,
            "deploy",
            "--config-env=none",
            f"--stack-name={STACK}",
            "--s3-bucket=artifacts",
            "--capabilities",
            "CAPABILITY_IAM",
            "CAPABILITY_AUTO_EXPAND",
            "--no-confirm-changeset",
            "--no-progressbar",
        )
        _check(endpoint)
    print("deployed, and everything is there")


def _check(endpoint: str) -> None:
    [stack] = client("cloudformation", endpoint).describe_stacks(StackName=STACK)["Stacks"]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
    functions: list[Any] = client("lambda", endpoint).list_functions()["Functions"]
    handlers = {f["Handler"].split(".")[2] for f in functions}
    assert len(functions) == len(FUNCTIONS), functions
    assert handlers == {"dispatch", "finish", "notify", "push", "submit", "sweep"}
    table = client("dynamodb", endpoint).describe_table(TableName=outputs["TableName"])["Table"]
    assert table["StreamSpecification"]["StreamEnabled"]
    mappings = client("lambda", endpoint).list_event_source_mappings()["EventSourceMappings"]
    streams = [m for m in mappings if m["EventSourceArn"] == table["LatestStreamArn"]]
    assert len(streams) == 2, mappings
    queues = client("sqs", endpoint).list_queues()["QueueUrls"]
    assert len([m for m in mappings if ":sqs:" in m["EventSourceArn"]]) == 4, mappings
    assert len(queues) == 7, queues


def _environment(endpoint: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return kept | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
    }


def _sam(env: dict[str, str], *arguments: str) -> None:
    program = str(ROOT / ".envs/sam/bin/sam")
    subprocess.run([program, *arguments], cwd=ROOT, env=env, check=True, timeout=300)


if __name__ == "__main__":
    main()
