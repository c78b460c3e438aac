"""Which Job is made of a template that is not the default one?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.kubernetes.request import CONTAINERS, manifest_for

RUN = "etl.0199c1f0-0000-7000-8000-000000000001"
PROXY = {"name": "cloudsql-proxy", "image": "cloudsql"}


def made(containers: Any, **configuration: Any) -> dict[str, Any]:
    manifest = {"spec": {"template": {"spec": {"containers": containers}}}}
    given = {"command": "python -m etl", "env": {"A": "1"}, "job_manifest": manifest}
    return manifest_for(Job("pd-1", RUN, "etl", "kubernetes", 1, given | configuration))


def containers_of(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in manifest["spec"]["template"]["spec"]["containers"]}


def env_of(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "…") for entry in container["env"]}


@pytest.mark.parametrize(
    "main",
    [
        {"name": "prefect-job", "image": "i", "args": "python -m etl"},
        {"name": "prefect-job", "image": "i", "env": {"A": "1"}},
        {"name": "prefect-job", "image": "i", "args": "python -m etl", "env": {"A": "1"}},
    ],
)
def test_the_container_that_the_template_fills_gets_the_command(main: dict[str, Any]) -> None:
    manifest = made([PROXY, main])
    containers = containers_of(manifest)
    assert containers["prefect-job"]["args"] == ["python", "-m", "etl"]
    assert env_of(containers["prefect-job"]) == {"A": "1"}
    assert containers["cloudsql-proxy"] == PROXY
    named = manifest["metadata"]["annotations"][CONTAINERS]
    assert named == "prefect-job,cloudsql-proxy"
    assert manifest["spec"]["template"]["metadata"]["annotations"][CONTAINERS] == named


def test_without_any_it_is_the_first_as_in_prefect() -> None:
    containers = containers_of(made([{"image": "i"}, PROXY]))
    assert containers["job"]["args"] == ["python", "-m", "etl"]


def test_the_job_s_environment_wins_over_the_manifest_s_as_in_prefect() -> None:
    inner = [
        {"name": "LOG", "value": "INFO"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "OFF", "value": "x"},
    ]
    manifest = made([{"image": "i", "env": inner}], env={"LOG": "DEBUG", "OFF": None, "N": True})
    assert env_of(containers_of(manifest)["job"]) == {"LOG": "DEBUG", "TOKEN": "…", "N": "true"}


def test_an_environment_may_be_a_list_as_in_prefect() -> None:
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    manifest = made([{"image": "i"}], env=[{"name": "A", "value": "1"}, secret])
    assert env_of(containers_of(manifest)["job"]) == {"A": "1", "TOKEN": "…"}


def test_an_environment_inside_a_list_is_taken_apart() -> None:
    inner = [{"A": "1", "B": {"x": 1}}, {"name": "X", "value": "1"}]
    manifest = made([{"image": "i", "env": inner}])
    assert env_of(containers_of(manifest)["job"]) == {"A": "1", "B": '{"x": 1}', "X": "1"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("My_Team/na me", "my-team/na-me"),
        ("prefect.io/flow", "prefect.io/flow"),
        ("team", "team"),
        ("_/x", "x"),
    ],
)
def test_label_keys_become_valid(key: str, expected: str) -> None:
    labels = made([{"image": "i"}], labels={key: "ä b"})["metadata"]["labels"]
    assert labels[expected] == "a-b"


@pytest.mark.parametrize(
    ("containers", "more", "words"),
    [
        ([], {}, "containers is empty"),
        ("x", {}, "containers is not a list of objects"),
        ({"name": "x"}, {}, "containers is not a list of objects"),
        ([None], {}, "containers is not a list of objects"),
        ([{"name": "a", "image": "i"}, {"image": "i"}], {}, r"containers\[1\].name is not set"),
        ([{"image": "i", "env": ["A=1"]}], {}, r"env\[0\] is not an object"),
        ([{"image": "i"}], {"env": ["A=1"]}, r"env\[0\] is not an object"),
        ([{"image": "i"}], {"labels": ["a"]}, "labels is not an object"),
        ([{"image": "i"}], {"annotations": ["a"]}, "annotations is not an object"),
        ([{"image": "i"}], {"command": "echo 'open"}, "args cannot be split"),
        ([{"name": "x"}], {}, "no image is given"),
    ],
)
def test_what_cannot_be_a_job_is_refused_by_name(
    containers: Any, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        made(containers, **more)
    assert caught.value.reason == "template_invalid"
