"""Are the settings read from the environment, and is a wrong one named?"""

from __future__ import annotations

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.ports.settings import Settings

TABLE = {"PUSH_DISPATCH_TABLE": "t"}


@pytest.mark.parametrize(("given", "days"), [({}, 0), ({"PUSH_DISPATCH_RETENTION_DAYS": "30"}, 30)])
def test_runs_are_kept_for_good_unless_somebody_says(given: dict[str, str], days: int) -> None:
    assert Settings.from_env(TABLE | given).retention_days == days


@pytest.mark.parametrize(
    ("given", "eager"),
    [
        ({}, False),
        ({"PUSH_DISPATCH_EAGER": "true"}, False),
        ({"PUSH_DISPATCH_EAGER": "true", "PUSH_DISPATCH_PLATFORM_QUEUES": '{"ecs": "q"}'}, True),
        ({"PUSH_DISPATCH_EAGER": "false", "PUSH_DISPATCH_PLATFORM_QUEUES": '{"ecs": "q"}'}, False),
    ],
)
def test_nobody_is_eager_who_could_hand_over_to_nobody(given: dict[str, str], eager: bool) -> None:
    assert Settings.from_env(TABLE | given).eager is eager


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "PUSH_DISPATCH_TABLE"),
        (TABLE | {"PUSH_DISPATCH_RETENTION_DAYS": "-1"}, "PUSH_DISPATCH_RETENTION_DAYS"),
        (TABLE | {"PUSH_DISPATCH_RETENTION_DAYS": "a year"}, "PUSH_DISPATCH_RETENTION_DAYS"),
        (TABLE | {"PUSH_DISPATCH_PLATFORM_QUEUES": "ecs"}, "PUSH_DISPATCH_PLATFORM_QUEUES"),
        (TABLE | {"PUSH_DISPATCH_EAGER": "yes"}, "PUSH_DISPATCH_EAGER"),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(Invalid, match=named):
        Settings.from_env(environ)
