"""How much CPU of ours does a run take, from its submission to the release of its slot?

One thread; submitted one by one, admitted and released by a hundred, pushed and seen one by one.
With the AWS SDK to an emulator that is another process, and on the embedded store of the local
runtime. The platform takes everything and costs nothing.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import boto3

from benchmarks.world import POOL, figure
from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.adapters.sqs import SqsMessages
from push_dispatch.bootstrap import client_config, embedded_ports, new_id, now
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Observation, Pool, Run, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import hints_of
from push_dispatch.engine.push import push
from push_dispatch.engine.submit import submit
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push
from push_dispatch.ports.store import Change
from tests.fakes.lives import Accepting, Outbox
from tests.ministack import ministack

__all__ = ["main"]

RUNS, COMMIT = 500, 100
_TEMPLATE = {"job_configuration": {"command": "true"}, "variables": {}}


def main() -> None:
    """Print the milliseconds a run."""
    print(f"CPU of our process for the whole life of a run, of {RUNS}")
    with ministack() as endpoint:
        figure("with the AWS SDK", f"{_measured(_aws(endpoint)):.2f} ms", "2.5 ms", "8.1 ms")
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "state.db")
        taken = _measured(embedded_ports(database, {}))
        database.close()
    figure("on the embedded store", f"{taken:.2f} ms", "2.5 ms", "-")


def _aws(endpoint: str) -> Ports:
    session = boto3.Session("none", "none", region_name="us-east-1")
    dynamodb = session.client("dynamodb", config=client_config(), endpoint_url=endpoint)
    sqs = session.client("sqs", config=client_config(), endpoint_url=endpoint)
    create_table(dynamodb, "cpu")
    queue = sqs.create_queue(QueueName="ecs")["QueueUrl"]
    return Ports(
        store=DynamoStore(dynamodb, "cpu"),
        messages=SqsMessages(lambda: sqs, {"ecs": queue}, queue),
        clock=now,
        new_id=new_id,
        platform=lambda _name: Accepting(),
        secrets=secrets_from({}),
    )


def _measured(ports: Ports) -> float:
    outbox = Outbox(ports.messages)
    # Its ends are reported, as those of processes are: none is polled.
    ports = replace(
        ports, messages=outbox, platform=lambda _name: Accepting(), hears=lambda _name: True
    )
    create_pool(ports, Pool(POOL, "ecs"), _TEMPLATE)
    _live(ports, outbox, COMMIT)  # warm
    before = time.process_time()
    for _ in range(RUNS // COMMIT):
        _live(ports, outbox, COMMIT)
    return (time.process_time() - before) * 1000 / RUNS


def _live(ports: Ports, outbox: Outbox, count: int) -> None:
    runs = [submit(ports, Request(POOL)).run for _ in range(count)]
    _pass(ports, runs)
    sent, outbox.sent = outbox.sent, []
    orders = [message for message in sent if isinstance(message, Push)]
    assert len(orders) == count
    for order in orders:
        push(ports, order)
    for status, code in ((Status.RUNNING, None), (Status.ENDED, 0)):
        seen = [finish(ports, Observation(r.id, 1, status, exit_code=code)) for r in runs]
        runs = [run for run in seen if run is not None]
    assert len(runs) == count
    assert all(run.state.ended for run in runs)
    _pass(ports, runs)
    assert not ports.store.ledger(POOL).holders


def _pass(ports: Ports, runs: list[Run]) -> None:
    changes = [Change(POOL, None, run) for run in runs]
    dispatch(ports, POOL, hints_of(changes)[POOL])
