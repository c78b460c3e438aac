from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from push_dispatch.control.declaration import Declaration, read, read_file
from push_dispatch.core.canonical import digest_of
from push_dispatch.core.errors import Invalid

TEMPLATE: dict[str, Any] = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}}},
}


def declared(document: Any, at: Path = Path()) -> Declaration:
    return read(document, lambda _type: TEMPLATE, relative_to=at)


def test_everything_wrong_is_listed_at_once_each_with_its_path() -> None:
    entry = {"type": "process", "limit": -1, "queues": {"a": {"priority": 0}}, "colour": "red"}
    with pytest.raises(Invalid) as refused:
        declared({"pools": {"etl": entry}})
    text = refused.value.message
    assert "pools.etl.limit: " in text
    assert "pools.etl.queues.a.priority: " in text
    assert "'colour'" in text


def test_queues_without_a_priority_get_the_free_ones_and_the_default_comes_last() -> None:
    queues = {"first": None, "fixed": {"priority": 1}, "second": {}}
    pool = declared({"pools": {"etl": {"type": "process", "queues": queues}}}).pools["etl"].pool
    named = [(queue.name, queue.priority) for queue in pool.queues]
    assert named == [("fixed", 1), ("first", 2), ("second", 3), ("default", 4)]


def test_a_priority_that_is_given_twice_is_refused() -> None:
    queues = {"a": {"priority": 2}, "b": {"priority": 2}}
    with pytest.raises(Invalid, match=r"pools\.etl\.queues: two queues have priority 2"):
        declared({"pools": {"etl": {"type": "process", "queues": queues}}})


def test_a_template_named_by_a_path_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("job_configuration: {}\nvariables: {type: object}\n")
    file = tmp_path / "pools.yaml"
    file.write_text("pools: {etl: {type: process, base_job_template: own.yaml}}\n")
    found = read_file(file, lambda _type: TEMPLATE).pools["etl"]
    own = {"job_configuration": {}, "variables": {"type": "object"}}
    assert (found.pool.template, dict(found.templates)) == (digest_of(own), {digest_of(own): own})


def test_job_variables_of_a_pool_become_defaults_of_its_template() -> None:
    entry = {"type": "process", "job_variables": {"command": "make"}}
    found = declared({"pools": {"etl": entry}}).pools["etl"]
    template = found.templates[found.pool.template]
    assert template["variables"]["properties"]["command"]["default"] == "make"
    with pytest.raises(Invalid, match=r"pools\.etl\.job_variables: "):
        declared({"pools": {"etl": entry | {"job_variables": {"comand": "make"}}}})


@pytest.mark.parametrize("document", [{"prefect-version": "3.4"}, {"deployments": [{"name": "a"}]}])
def test_a_project_file_of_prefect_is_recognised_with_what_to_write_instead(document: Any) -> None:
    with pytest.raises(Invalid, match=r"project file of Prefect(.|\n)*pools:"):
        declared(document)


def test_a_file_of_comments_declares_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pools.yaml"
    file.write_text("# later\n")
    assert read_file(file, lambda _type: TEMPLATE) == Declaration({}, {})
