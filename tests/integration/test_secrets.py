"""Is a secret that a run refers to found anywhere but in the process that needs it?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from push_dispatch.local.connect import database_of
from push_dispatch.local.discovery import Record
from push_dispatch.local.ministack import session
from tests.local import Cli, LocalUp

PLANTED = "planted-7f3c9e51-do-not-show"


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--aws",)], ids=["file", "emulator"])
def test_a_planted_secret_reaches_the_process_and_nothing_else(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"API_KEY": PLANTED}))
    cli = Cli(tmp_path / "home", {"PUSH_DISPATCH_SECRETS": f"file:{secrets}"})
    data = tmp_path / "data"
    seen = tmp_path / "seen"
    message: list[str] = []

    def type_(*arguments: str) -> str:
        done = cli(*arguments)
        message.extend((done.out, done.err))
        return done.out

    with LocalUp(cli, (*options, "--data-dir", str(data))):
        allowed = ("--allow-secret", "API_KEY", "--allow-secret", "MISSING")
        type_("pool", "create", "p", "--type", "process", *allowed)
        reference = ("--var", "env.KEY={{ secrets.API_KEY }}")
        command = ("--", "sh", "-c", f'printf %s "$KEY" > {seen}')
        run_id = type_("run", "submit", "p", *reference, "--wait", *command).strip()
        wrong = ("--var", "env.KEY={{ secrets.MISSING }}")
        type_("run", "submit", "p", *wrong, "--wait", *command)
        for verb in ("inspect", "logs", "explain"):
            type_("run", verb, run_id)
            type_("run", verb, run_id, "--json")
        type_("run", "render", "p", *reference, *command)
        type_("run", "submit", "p", *reference, "--dry-run", "--json", *command)
        message.append(_everything_that_is_stored(cli))
        message.append(_command_lines())
    assert seen.read_text() == PLANTED
    assert "secret_unavailable" in "".join(message)
    assert "{{ secrets.API_KEY }}" in "".join(message)
    assert PLANTED not in "".join(message)
    files = [file for file in data.rglob("*") if file.is_file()]
    state = "dynamodb.json" if options else "state.db"
    assert {"runtime.log", state} <= {file.name for file in files}
    assert [str(file) for file in files if PLANTED.encode() in file.read_bytes()] == []


def _everything_that_is_stored(cli: Cli) -> str:
    [file] = (cli.home / "push-dispatch" / "local").glob("*.json")
    record = Record(**json.loads(file.read_text()))
    if record.state:
        database = database_of(record)
        names = database.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
        rows = {name: database.rows(f"SELECT * FROM {name}") for (name,) in names}
        database.close()
        assert len(rows["items"]) > 3
        return repr(rows)
    dynamodb = session(record.key).client("dynamodb", endpoint_url=record.endpoint)
    streams = session(record.key).client("dynamodbstreams", endpoint_url=record.endpoint)
    items = dynamodb.scan(TableName=record.table)["Items"]
    arn = dynamodb.describe_table(TableName=record.table)["Table"]["LatestStreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator, Limit=1000)["Records"]
    assert len(items) > 3
    assert len(records) > 10
    return repr(items) + repr(records)


def _command_lines() -> str:
    """What anybody on the machine may see of our children: their command lines."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return os.linesep.join(lines)
