"""Is a changed declaration applied under two hundred runs, losing none and breaking no limit?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb import items
from push_dispatch.core.model import Ledger
from push_dispatch.local.discovery import Record
from push_dispatch.local.ministack import session
from push_dispatch.local.shards import StreamPump
from push_dispatch.local.stream import Delivery
from tests.local import Cli, LocalUp

RUNS = 200

BEFORE = """
pools:
  etl:
    type: process
    limit: 8
    queues:
      high: {priority: 1, limit: 5}
      night: {priority: 5}
"""
AFTER = """
pools:
  etl:
    type: process
    limit: 5
    queues:
      high: {priority: 3, limit: 2}
      fresh: {priority: 1}
"""


@pytest.mark.slow
def test_applying_twice_does_nothing_and_a_change_loses_no_run(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home")
    file = tmp_path / "pools.yaml"
    file.write_text(BEFORE)
    with LocalUp(cli, ("--aws", "--data-dir", str(tmp_path / "data"))):
        assert cli.ok("apply", "-f", str(file), "--json").json["steps"]
        assert cli.ok("apply", "-f", str(file), "--json").json["steps"] == []
        ledgers: list[Ledger] = []
        stream = _ledgers_of(cli, ledgers)
        ids = []
        for queue in ("high", "night", "default", "high"):
            command = ("--queue", queue, "--count", str(RUNS // 4), "--", "sleep", "0.1")
            ids += cli.ok("run", "submit", "etl", *command).out.split()
        file.write_text(AFTER)
        [step] = cli.ok("apply", "-f", str(file), "--prune", "--json").json["steps"]
        reported = "\n".join(step["changes"])
        assert "limit 8 → 5" in reported
        assert "night" in reported
        assert "move to `default`" in reported
        assert cli.ok("apply", "-f", str(file), "--json").json["steps"] == []
        changed = cli.ok("pool", "inspect", "etl", "--json").json["version"]
        waited = cli("run", "wait", *ids, "--timeout", "120s", "--json")
        runs = waited.json
        stream.drain()
        assert len(runs) == RUNS
        assert Counter(run["state"] for run in runs) == {"COMPLETED": RUNS}
        assert {len(run["attempts"]) for run in runs} == {1}
        _check_limits(ledgers, changed)
        assert cli.ok("pool", "inspect", "etl", "--json").json["slots_used"] == 0


def _check_limits(ledgers: list[Ledger], changed: int) -> None:
    """No admission above the limits of the configuration under which it was decided; what holds a
    slot when a limit sinks keeps it."""
    assert {ledger.configuration >= changed for ledger in ledgers} == {False, True}
    for before, after in pairwise(ledgers):
        new = {h.slot for h in after.holders} - {h.slot for h in before.holders}
        if not new:
            continue
        limit, high = (5, 2) if after.configuration >= changed else (8, 5)
        assert len(after.holders) <= limit
        admitted = {h.queue for h in after.holders if h.slot in new}
        if "high" in admitted:
            assert sum(h.queue == "high" for h in after.holders) <= high


def _ledgers_of(cli: Cli, found: list[Ledger]) -> StreamPump:
    [file] = (cli.home / "push-dispatch" / "local").glob("*.json")
    record = Record(**json.loads(file.read_text()))
    dynamodb = session(record.key).client("dynamodb", endpoint_url=record.endpoint)
    streams = session(record.key).client("dynamodbstreams", endpoint_url=record.endpoint)

    def keep(event: Mapping[str, Any]) -> Mapping[str, Any]:
        images = [r["dynamodb"]["NewImage"] for r in event["Records"]]
        found.extend(items.read_ledger("etl", image) for image in images)
        return {}

    arn = dynamodb.describe_table(TableName=record.table)["Table"]["LatestStreamArn"]
    ledgers = {"dynamodb": {"Keys": {"SK": {"S": ["LEDGER"]}}}}
    pump = StreamPump(streams, arn, Delivery(keep, [ledgers], lambda _: None))
    pump.begin()
    return pump
