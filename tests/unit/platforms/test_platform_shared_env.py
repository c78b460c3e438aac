"""Does the container that runs the attempt get its variables, and only it?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.refusals import wording
from push_dispatch.platforms.shared import main_of, merged_env


@pytest.mark.parametrize(
    ("containers", "index"),
    [
        ([{"image": "proxy"}, {"image": "etl", "command": ["python", "-m", "etl"]}], 1),
        ([{"image": "proxy", "command": "proxy"}, {"image": "etl"}], 1),
        ([{"image": "etl", "command": "x"}, {"image": "proxy"}], 0),
        ([{"image": "other"}], 0),
    ],
)
def test_the_main_container_is_the_one_that_names_the_variables(
    containers: list[dict[str, Any]], index: int
) -> None:
    configuration = {"command": ["python", "-m", "etl"], "image": "etl"}
    assert main_of(containers, configuration) == index


def test_the_runs_variables_win_and_null_removes() -> None:
    own = [{"name": "A", "value": 1}, {"name": "B", "valueFrom": "x"}, {"name": "C", "value": "c"}]
    merged = merged_env(own, {"A": {"x": True}, "C": None, "D": "d"})
    assert list(merged.values()) == [
        {"name": "A", "value": '{"x": true}'},
        {"name": "B", "valueFrom": "x"},
        {"name": "D", "value": "d"},
    ]


@pytest.mark.parametrize("own", [{"A": "1"}, [{"A": "1"}], [{"name": "A", "value": "1"}]])
@pytest.mark.parametrize("env", [{"B": None}, [{"name": "B", "value": None}], None])
def test_an_environment_may_be_an_object_or_a_list(own: Any, env: Any) -> None:
    merged = merged_env(own, env)
    assert merged == {"A": {"name": "A", "value": "1"}}


@pytest.mark.parametrize("own", [["A=1"], [{"value": "1"}], [{"valueFrom": {}}], "A=1"])
def test_what_is_no_list_of_entries_is_named(own: Any) -> None:
    with pytest.raises(Rejected, match=r"containers\[0\].env") as caught:
        merged_env(own, {}, "containers[0].env")
    assert caught.value.reason == "template_invalid"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Image 'us-docker.pkg.dev/p/secret-etl:1' not found", "Image '' not found"),
        ("see https://x.dev/?project=classroom then retry", "see  then retry"),
        ("disabled in project classroom before", "disabled in project before"),
        ("agent quota@oom.iam must read it", "agent  must read it"),
        ("limit: '0'", "limit: '0'"),
        ("i/o timeout, it isn't there", "i/o timeout, it isn't there"),
        ("Permission 'iam.x.actAs' denied", "Permission 'iam.x.actAs' denied"),
    ],
)  # fmt: skip
def test_names_that_somebody_chose_say_nothing(text: str, left: str) -> None:
    assert wording(text) == left
