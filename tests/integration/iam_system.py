"""The deployed functions, each with its own key; IAM in front of AWS, and other clouds.

Variables and statements of each function are those of template.yaml; only what AWS would name is
named here. Table, queues, bus and secrets are MiniStack's, ECS, STS and other clouds the project's
fakes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import Any
from unittest.mock import patch

import boto3
import botocore.session

from push_dispatch import bootstrap
from push_dispatch.adapters import aws as sdk
from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.handlers import submit
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Message, Wake, encode
from push_dispatch.ports.schedules import NoSchedules
from push_dispatch.ports.settings import Settings
from tests.fakes.aci import FakeAci
from tests.fakes.aci_sign_in import CLIENT, TENANT, FakeSts
from tests.fakes.cloud_run import FakeCloudRun
from tests.fakes.cloud_run_service import PROJECT
from tests.fakes.collector import FakeCollector
from tests.fakes.ecs import FakeEcs
from tests.fakes.ecs_service import ACCOUNT, REGION
from tests.fakes.faults import Faults
from tests.fakes.google_sign_in import PROVIDER, FakeGoogle
from tests.fakes.iam import Grant, Need, grants_of
from tests.fakes.iam_calls import SUFFIX, arn, role_arns
from tests.fakes.iam_proxy import Iam
from tests.fakes.modal import FakeModal
from tests.fakes.prefect import FakePrefect
from tests.fakes.rest_server import Answer, Request, RestServer
from tests.infra.tools.cfn import Template, sam_template
from tests.local import environment

__all__ = [
    "KEY",
    "PARAMETERS",
    "REPORT_KEY",
    "ROLES",
    "Declared",
    "Function",
    "System",
    "functions_of",
    "records",
    "system",
]

KEY = arn("kms", "key/k")
ROLES = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("execution", "task")]
PREFIX, SYSTEM = "mine/", "ours/"
REPORT_KEY = "k" * 64

#: Everything that can be asked for; the webhook is put in when it is known where it listens.
PARAMETERS: dict[str, Any] = {
    "Api": "http",
    "AzureClientId": CLIENT,
    "AzureTenantId": TENANT,
    "EcsTaskRoles": ",".join(ROLES),
    "EnableAci": "true",
    "EnableCloudRun": "true",
    "EnableModal": "true",
    "EnablePrefect": "true",
    "EnableReporter": "true",
    "GoogleAudience": PROVIDER,
    "GoogleCloudProject": PROJECT,
    "KmsKeyArn": KEY,
    "ManagedSubnets": "subnet-a,subnet-b",
    "ModalTokenSecret": "modal",
    "OtlpEndpoint": "http://127.0.0.1:1",
    "OtlpHeadersSecret": "otlp",
    "EcsClusters": arn("ecs", "cluster/default"),
    "SecretsPrefix": PREFIX,
    "SystemSecretsPrefix": SYSTEM,
    "Webhooks": '[{"url": "http://127.0.0.1:1", "secret": "hook"}]',
}
_SECRETS = {
    f"{PREFIX}db": "hunter2",
    f"{SYSTEM}webhooks/hook": "whsec",
    f"{SYSTEM}otlp": "api-key=1",
    f"{SYSTEM}modal": json.dumps({"token_id": "ak-1", "token_secret": "as-1"}),
    f"{SYSTEM}push-dispatch/report-key": REPORT_KEY,
}


# -- what template.yaml says ----------------------------------------------------------------------


@dataclass(frozen=True)
class Declared:
    """A function as the template has it, with the names that AWS would give."""

    handler: str
    environ: Mapping[str, str]
    grants: tuple[Grant, ...]


def functions_of(
    parameters: Mapping[str, Any], queue_url: Callable[[str], str] = str
) -> dict[str, Declared]:
    """By logical name; `queue_url` tells the URL of a queue of that logical name."""
    template = Template(sam_template(), parameters)
    resources = list(template.resources())
    names = _names({name: kind for name, kind, _ in resources}, queue_url)
    roles = {f"{name}": given for name, kind, given in resources if kind == "AWS::IAM::Role"}
    return {
        name: _declared(_named(given, names), _named(roles[f"{name}Role"], names))
        for name, kind, given in resources
        if kind == "AWS::Serverless::Function"
    }


def _declared(given: Mapping[str, Any], role: Mapping[str, Any]) -> Declared:
    """What Lambda does in a function's name is left out: no code asks for it."""
    policies = {p["PolicyName"]: p["PolicyDocument"]["Statement"] for p in role["Policies"]}
    assert set(policies) == {"function", "lambda"}
    statements = policies["function"]
    variables = {name: str(value) for name, value in given["Environment"]["Variables"].items()}
    return Declared(given["Handler"], variables, tuple(grants_of(statements)))


def _names(kinds: Mapping[str, str], queue_url: Callable[[str], str]) -> dict[str, str]:
    """What stands for the references that the template's evaluation leaves."""
    names = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT}
    for name, kind in kinds.items():
        match kind:
            case "AWS::SQS::Queue":
                names |= {name: queue_url(name), f"{name}.Arn": arn("sqs", name)}
            case "AWS::IAM::Role":
                names[f"{name}.Arn"] = f"arn:aws:iam::{ACCOUNT}:role/{name}"
            case _:
                names[name] = name
    return names | {
        "Bus.Arn": arn("events", "event-bus/Bus"),
        "Cluster.Arn": arn("ecs", "cluster/default"),
        "ReportFunctionUrl.FunctionUrl": "https://report.example/",
        "ReportKey": arn("secretsmanager", f"secret:{SYSTEM}push-dispatch/report-key{SUFFIX}"),
        "Table.Arn": arn("dynamodb", "table/Table"),
    }


def _named(held: Any, names: Mapping[str, str]) -> Any:
    if isinstance(held, str):
        return re.sub(r"<([\w.:]+)>", lambda match: names.get(match[1], match[0]), held)
    if isinstance(held, Mapping):
        return {key: _named(inner, names) for key, inner in held.items()}
    return [_named(inner, names) for inner in held] if isinstance(held, list) else held


# -- the functions --------------------------------------------------------------------------------


@dataclass
class Function:
    """One function: its handler's use case, with ports of its own. Called with an event."""

    name: str
    declared: Declared
    #: Its variables, and where to find what is not AWS.
    environ: Mapping[str, str]
    clock: Callable[[], int]
    #: Such as `store.run`: what it has called of its ports.
    used: set[str] = field(default_factory=set)

    def __call__(self, event: Mapping[str, Any]) -> Any:
        """What the handler answers. As in Lambda, one process is one function."""
        module = import_module(self.declared.handler.rpartition(".")[0])
        with self._at_work():
            match self.declared.handler.split(".")[-2]:
                case "api":
                    return module.answered(self.ports, event)
                case "notify":
                    return module.handle(bootstrap.event_bus_for(self._settings), event)
                case "prefect":
                    return module.handle(bootstrap.prefect_bridge(self.ports), event)
                case "submit":
                    queue = self._settings.rejected_queue
                    return module.handle(self.ports, event, rejected_queue=queue)
                case "sweep":
                    return module.handle_alone(self.ports, 45)
                case "trace":
                    otlp = bootstrap.otlp_for(self._settings)
                    return module.handle(self.ports.store, otlp, event)
                case "webhook":
                    return module.handle(
                        bootstrap.webhooks_for(self._settings), event, lambda: 30_000
                    )
                case _:
                    return module.handle(self.ports, event)

    def take(self, *messages: Message | Wake, receives: int = 1) -> None:
        """Messages of its queue. Fails if one is to be delivered again."""
        answer = self(records(*map(encode, messages), receives=receives))
        assert answer == {"batchItemFailures": []}, (self.name, messages, answer)

    @cached_property
    def ports(self) -> Ports:
        made = bootstrap.ports_for(self._settings, self._session)
        store, messages = (
            Faults().around(port, lambda verb, *_, of=name: self.used.add(f"{of}.{verb}"))
            for name, port in (("store", made.store), ("messages", made.messages))
        )
        return replace(made, clock=self.clock, store=store, messages=messages)

    @cached_property
    def _settings(self) -> Settings:
        return Settings.from_env(self.environ)

    @cached_property
    def _session(self) -> boto3.Session:
        return _session(self.name)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Also clients that are made without a session are this function's."""
        with (
            environment({**os.environ, **self.environ}),
            patch.object(sdk, "session", lambda: self._session._session),
        ):
            yield


def records(*bodies: str, receives: int = 1) -> dict[str, Any]:
    """A batch of SQS messages as Lambda hands it over."""
    attributes = {"ApproximateReceiveCount": str(receives)}
    return {
        "Records": [
            {
                "messageId": str(number),
                "body": body,
                "attributes": attributes,
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
    }


def _session(key: str) -> boto3.Session:
    """All read the services' descriptions once, which takes long."""
    made = botocore.session.get_session()
    made.register_component("data_loader", _LOADER)
    return boto3.Session(key, "secret", region_name=REGION, botocore_session=made)


_LOADER = botocore.session.get_session().get_component("data_loader")


# -- all of it ------------------------------------------------------------------------------------


class Webhook(RestServer):
    """Hears of changes."""

    def answer(self, request: Request) -> Answer:
        return Answer(204)


@dataclass
class Others:
    """What is not MiniStack: ECS, STS, other clouds, and somebody who wants to hear of changes."""

    aci: FakeAci = field(default_factory=FakeAci)
    cloud_run: FakeCloudRun = field(default_factory=FakeCloudRun)
    ecs: FakeEcs = field(default_factory=FakeEcs)
    google: FakeGoogle = field(default_factory=FakeGoogle)
    modal: FakeModal = field(default_factory=FakeModal)
    prefect: FakePrefect = field(default_factory=lambda: FakePrefect(bootstrap.now))
    webhook: Webhook = field(default_factory=Webhook)
    collector: FakeCollector = field(default_factory=FakeCollector)

    def __post_init__(self) -> None:
        self.entra = FakeSts(self.aci.entra)
        self.cloud_run.tokens = self.google.tokens

    def enter(self, stack: ExitStack) -> None:
        for fake in (self.aci, self.cloud_run, self.ecs, self.google, self.modal, self.prefect):
            stack.enter_context(fake)
        stack.enter_context(self.entra)
        stack.enter_context(self.webhook)
        stack.enter_context(self.collector)

    def url_of(self, service: str, caller: str) -> str | None:
        """Of a service of AWS; None if it is MiniStack's. Each cloud trusts an STS of its own."""
        if service == "sts":
            return (self.google if caller == "PushCloudRunFunction" else self.entra).url
        return self.ecs.url if service in {"ec2", "ecs", "logs"} else None

    def environ(self, name: str) -> dict[str, str]:
        """Where that function finds the cloud that it is for."""
        match name:
            case "PushAciFunction":
                azure = self.aci.environ().items()
                return {key: value for key, value in azure if "_AZURE_" in key}
            case "PushCloudRunFunction":
                return self.cloud_run.environ(PUSH_DISPATCH_GOOGLE_STS_ENDPOINT=self.google.url)
            case "PushModalFunction":
                return {"MODAL_SERVER_URL": self.modal.environ()["MODAL_SERVER_URL"]}
        return {}

    def roles_of(self, definition: str) -> list[Need]:
        """What it takes to hand over the roles of a task definition."""
        family, _, revision = definition.rpartition("/")[2].partition(":")
        return role_arns(self.ecs.definitions[family][int(revision) - 1])


@dataclass
class System:
    """The functions, what is behind them, and what they have called."""

    iam: Iam
    others: Others
    #: What somebody with all permissions has.
    ports: Ports
    #: A client for the table's stream, and the stream's ARN.
    streams: Any
    stream: str
    functions: dict[str, Function] = field(default_factory=dict)
    _ahead: int = 0

    def __getitem__(self, name: str) -> Function:
        return self.functions[f"{name}Function"]

    def now(self) -> int:
        return bootstrap.now() + self._ahead

    def wait(self, seconds: float) -> None:
        """So much later for the functions; nobody sleeps."""
        self._ahead += round(seconds * 1000)


@contextmanager
def system(endpoint: str) -> Iterator[System]:
    """A system that nobody has used, with all platforms, in the MiniStack at `endpoint`."""
    others = Others()
    with ExitStack() as stack:
        others.enter(stack)
        stack.enter_context(environment({**os.environ, "AWS_ENDPOINT_URL": endpoint}))
        owner = _session("owner")
        stream, sqs = _make(owner), owner.client("sqs")
        declared = functions_of(
            PARAMETERS
            | {"Webhooks": json.dumps([{"url": others.webhook.url, "secret": "hook"}])}
            | {"OtlpEndpoint": others.collector.url},
            lambda name: str(sqs.create_queue(QueueName=name)["QueueUrl"]),
        )
        grants = {name: function.grants for name, function in declared.items()}
        iam = stack.enter_context(
            Iam(grants, lambda *of: others.url_of(*of) or endpoint, others.roles_of)
        )
        ports = bootstrap.ports_for(Settings.from_env(declared["SweepFunction"].environ), owner)
        made = System(iam, others, ports, owner.client("dynamodbstreams"), stream)
        # The owner's schedules fire by hand: the events that Scheduler sends are in events/.
        made.ports = replace(ports, clock=made.now, schedules=NoSchedules())
        others.prefect.clock = made.now
        for name, function in declared.items():
            aws = {
                "AWS_ACCESS_KEY_ID": name,
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL": iam.url,
            }
            environ = aws | dict(function.environ) | others.environ(name)
            made.functions[name] = Function(name, function, environ, made.now)
        submit._sqs.cache_clear()
        stack.callback(submit._sqs.cache_clear)
        yield made


def _make(owner: boto3.Session) -> str:
    """Table, bus and secrets; the ARN of the table's stream."""
    dynamodb = owner.client("dynamodb")
    create_table(dynamodb, "Table")
    owner.client("events").create_event_bus(Name="Bus")
    secrets = owner.client("secretsmanager")
    for name, value in _SECRETS.items():
        secrets.create_secret(Name=name, SecretString=value)
    return dynamodb.describe_table(TableName="Table")["Table"]["LatestStreamArn"]
