"""Is `docs/reference/differences.md` true, where no test of the rest shows it?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.control.deployments import deployment_named, save_deployment
from push_dispatch.control.pools import change_pool, create_pool, keep_template
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.model import Pool, RunState
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.core.validation import check
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from tests.fakes.world import POOL, World

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/differences.md").read_text(encoding="utf-8")
NEEDS_AN_IMAGE: dict[str, Any] = {
    "job_configuration": {"command": "{{ command }}", "image": "{{ image }}"},
    "variables": {
        "properties": {"command": {"type": "string"}, "image": {"type": "string"}},
        "required": ["image"],
    },
}


@pytest.fixture
def world() -> World:
    return World()


def rows() -> list[list[str]]:
    """The cells of every row of the tables, without their heads."""
    lines = re.findall(r"^\| (`[\w-]+` \|.*) \|$", PAGE, flags=re.MULTILINE)
    return [re.split(r" \| ", line) for line in lines]


def test_every_row_has_an_id_of_its_own_and_says_why() -> None:
    ids = [row[0] for row in rows()]
    assert len(ids) >= 16
    assert len(set(ids)) == len(ids)
    assert {len(row) for row in rows()} == {4, 5}
    assert all(cell.strip() for row in rows() for cell in row)


@pytest.mark.parametrize("row", [row for row in rows() if len(row) == 5], ids=lambda row: row[0])
def test_a_difference_is_shown_by_a_test_that_exists(row: list[str]) -> None:
    path, _, name = row[4].strip("`").partition("::")
    assert f"def {name or 'test_'}" in (ROOT / path).read_text(encoding="utf-8")


def test_a_missing_required_variable_is_refused_when_the_run_is_made(world: World) -> None:
    create_pool(world.ports, Pool("strict", "process"), NEEDS_AN_IMAGE)
    with pytest.raises(Invalid, match=r"image: .*required") as refused:
        submit(world.ports, Request("strict", variables={"command": "true"}), check=check)
    assert refused.value.reason == "invalid_variables"
    assert list(world.store.list_runs("strict")) == []


def test_a_missing_required_variable_is_refused_when_the_schedule_is_made(world: World) -> None:
    create_pool(world.ports, Pool("strict", "process"), NEEDS_AN_IMAGE)
    hourly = Schedule("hourly", cron="0 * * * *")
    with pytest.raises(Invalid, match=r"image: .*required"):
        save_deployment(world.ports, Deployment("d", "strict", "default", schedules=(hourly,)))
    with pytest.raises(NotFound):
        deployment_named(world.ports, "d")


def test_a_changed_template_is_checked_like_a_new_one(world: World) -> None:
    broken = {
        "job_configuration": {"cpu": "{{ cpu }}"},
        "variables": {"properties": {"cpu": {"type": "integer", "default": "two"}}},
    }
    for attempt in (
        lambda: create_pool(world.ports, Pool("new", "process"), broken),
        lambda: keep_template(world.ports, POOL, broken),
    ):
        with pytest.raises(Invalid, match="'two' is no integer") as refused:
            attempt()
        assert refused.value.reason == "invalid_template"


def test_a_run_that_is_being_cancelled_keeps_its_slot(world: World) -> None:
    change_pool(world.ports, POOL, lambda pool: replace(pool, limit=1))
    first = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    second = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    [container] = world.platform.live()

    assert cancel(world.ports, first.id).state is RunState.CANCELLING
    world.deliver_all()
    world.sweep()
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [first.uuid]
    assert world.platform.live() == [container]

    world.platform.end(container, 143)
    world.deliver_all()
    world.deliver_all()
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [second.uuid]
