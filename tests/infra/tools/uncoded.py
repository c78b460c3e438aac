"""The template in an emulator within seconds: deployed as it is, but for the code.

Nothing is built: the functions' own code is an empty archive, and the emulator executes them with
this interpreter, which has the project in its path. `deploy` is about the code that is built.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.infra.tools.stack import KEYS, repair_mappings
from tests.local import Cli, eventually
from tests.ministack import client, ministack

__all__ = ["Deployed", "deployed_without_code", "environment"]

_TEMPLATE = Path(__file__).parents[3] / "template.yaml"


@dataclass(frozen=True)
class Deployed:
    """The system, and who looks at it."""

    endpoint: str
    table: str
    cli: Cli

    def client(self, service: str) -> Any:
        return client(service, self.endpoint)

    def findings(self, *options: str) -> tuple[int, list[dict[str, str]]]:
        """The exit code, and what was found other than well."""
        done = self.cli("doctor", "--json", *options)
        return done.code, [found for found in done.json if found["verdict"] != "ok"]

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """By the module of their handlers."""
        listed = self.client("lambda").list_functions()["Functions"]
        return {f["Handler"].split(".")[2]: f for f in listed}

    @cached_property
    def mappings(self) -> list[dict[str, Any]]:
        mappings: list[dict[str, Any]] = self.client("lambda").list_event_source_mappings()[
            "EventSourceMappings"
        ]
        return mappings

    @cached_property
    def queues(self) -> dict[str, str]:
        """URLs by logical name."""
        urls = self.client("sqs").list_queues()["QueueUrls"]
        return {url.rsplit("-", 2)[1]: url for url in urls}

    @contextmanager
    def unswept(self) -> Iterator[None]:
        """The sweep comes once in a year: only the test repairs what is broken."""
        events, name = self.client("events"), self.sweep_rule
        every = events.describe_rule(Name=name)["ScheduleExpression"]
        events.put_rule(Name=name, ScheduleExpression="rate(365 days)", State="ENABLED")
        try:
            yield
        finally:
            events.put_rule(Name=name, ScheduleExpression=every, State="ENABLED")

    @cached_property
    def sweep_rule(self) -> str:
        """The rule that invokes the sweep every minute."""
        sweep = self.functions["sweep"]["FunctionArn"]
        [name] = self.client("events").list_rule_names_by_target(TargetArn=sweep)["RuleNames"]
        return str(name)

    def source(self, handler: str, kind: str) -> str:
        """The UUID of what invokes a function: its stream or its queue."""
        arn = self.functions[handler]["FunctionArn"]
        [found] = [
            m
            for m in self.mappings
            if m["FunctionArn"] == arn and f":{kind}:" in m["EventSourceArn"]
        ]
        return str(found["UUID"])


@contextmanager
def deployed_without_code(folder: Path) -> Iterator[Deployed]:
    """The system in a MiniStack of its own; it is gone afterwards."""
    with ministack(environ={"TMPDIR": str(folder)}) as endpoint:
        table = _deploy(endpoint, "push-dispatch")["TableName"]
        environ = KEYS | {"AWS_ENDPOINT_URL": endpoint, "PUSH_DISPATCH_TABLE": table}
        yield Deployed(endpoint, table, Cli(folder, environ))


def _deploy(endpoint: str, name: str) -> Mapping[str, str]:
    """Create the stack; its outputs."""
    s3 = client("s3", endpoint)
    _upload(s3, "code", "empty.zip")
    # As SAM does: a template of more than 51,200 bytes cannot be part of the request.
    s3.put_object(Bucket="code", Key="template.yaml", Body=_with_code("s3://code/empty.zip"))
    cloud = client("cloudformation", endpoint)
    cloud.create_stack(
        StackName=name,
        TemplateURL=f"{endpoint}/code/template.yaml",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    shown: dict[str, Any] = {}

    def is_there() -> bool:
        shown.update(cloud.describe_stacks(StackName=name)["Stacks"][0])
        return not str(shown["StackStatus"]).endswith("IN_PROGRESS")

    eventually(is_there)
    assert shown["StackStatus"] == "CREATE_COMPLETE", shown
    repair_mappings(endpoint)
    outputs = {o["OutputKey"]: o["OutputValue"] for o in shown["Outputs"]}
    _complete(client("dynamodb", endpoint), outputs["TableName"])
    return outputs


def _with_code(uri: str) -> str:
    """The template, built: by `sam build` the functions get their code, and lose how to make it."""
    text = _TEMPLATE.read_text("utf-8")
    assert text.count("    CodeUri: .\n") == 1
    unbuilt = "    Metadata: {BuildMethod: makefile}\n"
    assert unbuilt in text
    return re.sub(re.escape("CodeUri: ."), f"CodeUri: {uri}", text).replace(unbuilt, "")


def _upload(s3: Any, bucket: str, key: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("nothing", "")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=archive.getvalue())


def _complete(dynamodb: Any, table: str) -> None:
    """What the template says and MiniStack 1.5.33 takes from its own requests only."""
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )


@contextmanager
def environment(lambdas: Any, function: Mapping[str, Any], **changed: str) -> Iterator[None]:
    """The function has other environment variables for a while."""
    name, before = function["FunctionName"], function["Environment"]["Variables"]

    def update(variables: Mapping[str, str]) -> None:
        lambdas.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
        lambdas.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    update({**before, **changed})
    try:
        yield
    finally:
        update(before)
