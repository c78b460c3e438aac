"""Are rates and durations in a file written as on the command line, with the same bounds?"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from push_dispatch.control.declaration import read, schema
from push_dispatch.control.short_forms import expand
from push_dispatch.core.errors import Invalid

SHORT: dict[str, Any] = {
    "pools": {
        "etl": {
            "type": "process",
            "rate": "100/h",
            "platform_rate": "20/1s",
            "hold": "90s",
            "give_up": "2h",
            "ageing": "10m",
            "queues": {"urgent": {"rate": "5/10s"}, "plain": None},
            "limits": {"tenant": {"key": "{{ parameters.tenant }}", "rate": "1/m"}},
        }
    },
    "deployments": {
        "nightly": {
            "pool": "etl",
            "command": "true",
            "timeout": "1h30m",
            "retry_delay": "30s",
            "start_within": "15m",
            "start_by": "10m",
            "debounce": "2m",
            "collision": "LATEST",
            "concurrency_key": "k",
            "schedules": [{"every": "1h", "jitter": "5m"}],
        }
    },
}
LONG: dict[str, Any] = {
    "pools": {
        "etl": {
            "type": "process",
            "rate": {"starts": 100, "period_seconds": 3600},
            "platform_rate": {"starts": 20, "period_seconds": 1},
            "hold_seconds": 90,
            "give_up_seconds": 7200,
            "ageing_seconds": 600,
            "queues": {"urgent": {"rate": {"starts": 5, "period_seconds": 10}}, "plain": None},
            "limits": {
                "tenant": {
                    "key": "{{ parameters.tenant }}",
                    "rate": {"starts": 1, "period_seconds": 60},
                }
            },
        }
    },
    "deployments": {
        "nightly": {
            "pool": "etl",
            "command": "true",
            "timeout_seconds": 5400,
            "retry_delay_seconds": 30,
            "start_within": 900,
            "start_by_seconds": 600,
            "debounce_seconds": 120,
            "collision": "LATEST",
            "concurrency_key": "k",
            "schedules": [{"every_seconds": 3600, "jitter_seconds": 300}],
        }
    },
}


def declared(document: Any) -> Any:
    return read(document, lambda _: {"variables": {}, "job_configuration": {}}, relative_to=Path())


def test_both_forms_declare_the_same() -> None:
    before = copy.deepcopy(SHORT)
    assert declared(SHORT) == declared(LONG)
    assert before == SHORT
    assert expand(LONG).document == LONG


def test_editors_take_both_forms() -> None:
    for document in (SHORT, LONG):
        assert not list(Draft202012Validator(schema()).iter_errors(document))


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({"rate": "100"}, "pools.etl.rate: the value '100' is not a rate: write it like 100/h"),
        ({"rate": "0/h"}, "pools.etl.rate: the value '0/h' is not a rate"),
        ({"rate": "9999/1s"}, "pools.etl.rate: rate of the value: 9,999 starts in 1 s"),
        ({"rate": 5}, "pools.etl.rate: 5 is not of type"),
        ({"ageing": "soon"}, "pools.etl.ageing_seconds: the value 'soon' is not a duration"),
        ({"hold": "2d"}, "pools.etl.hold: 172800 is greater than the maximum of 86400"),
        ({"hold": 1.5}, "pools.etl.hold: 1.5 is not of type 'integer'"),
        ({"hold": "1m", "hold_seconds": 60}, "pools.etl.hold: hold_seconds is given, too"),
        ({"queues": {"q": {"rate": "x/h"}}}, "pools.etl.queues.q.rate: the value 'x/h' is not"),
    ],
)
def test_what_is_wrong_is_said_once_where_it_is_written(
    pool: dict[str, Any], expected: str
) -> None:
    with pytest.raises(Invalid) as caught:
        declared({"pools": {"etl": {"type": "process", **pool}}})
    lines = caught.value.message.splitlines()[1:]
    assert len(lines) == 1
    assert lines[0].strip().startswith(expected.replace("ageing_seconds", "ageing"))


def test_everything_that_is_wrong_is_listed() -> None:
    schedule = {"every": "often"}
    document = {
        "pools": {"etl": {"type": "process", "rate": "x", "limit": -1}},
        "deployments": {"d": {"pool": "etl", "timeout": "long", "schedules": [schedule]}},
    }
    with pytest.raises(Invalid) as caught:
        declared(document)
    shown = [line.strip().split(":")[0] for line in caught.value.message.splitlines()[1:]]
    assert shown == [
        "deployments.d.schedules.0.every",
        "deployments.d.timeout",
        "pools.etl.limit",
        "pools.etl.rate",
    ]


@pytest.mark.parametrize("document", [None, [], {"pools": []}, {"pools": {"etl": "x"}}, 5])
def test_what_has_another_shape_stays_as_it_is(document: Any) -> None:
    assert expand(document).document == document


def test_each_field_of_seconds_has_a_short_form() -> None:
    for name, kind in schema()["$defs"].items():
        if name != "rate":
            fields = kind.get("properties", {})
            long = [field for field in fields if field.endswith("_seconds")]
            assert {field.removesuffix("_seconds") for field in long} <= fields.keys()
