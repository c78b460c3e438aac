"""Is in every request what docs/reference/differences.md says, whatever the job variables are?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.aci.request import group_for
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.cloud_run.request import body_for as cloud_run_body
from push_dispatch.platforms.docker.request import order_for
from push_dispatch.platforms.ecs.request import parameters, plan_for
from push_dispatch.platforms.kubernetes.request import manifest_for
from push_dispatch.platforms.templates import default_template
from push_dispatch.platforms.vertex.request import body_for as vertex_body
from tests.unit.platforms import test_variables, test_variables_containers

NAME = "pd-0199c1f0000070008000000000000001-2"
RUN = "etl.0199c1f0-0000-7000-8000-000000000001"
NEEDED = {**test_variables.NEEDED, **test_variables_containers.NEEDED}


def job(kind: str, timeout: int | None = None, **variables: Any) -> Job:
    given = {**NEEDED[kind], "labels": {"team": "data"}, **variables}
    configuration = render(default_template(kind), [Layer("run", given)]).configuration
    return Job(NAME, RUN, "etl", kind, 2, configuration, timeout)


def ecs(made: Job) -> tuple[Any, dict[str, Any]]:
    plan = plan_for(made, "us-east-1")
    return plan, parameters(made, plan, "", plan.container, None)


def group(made: Job) -> dict[str, Any]:
    return group_for(made, {})


def test_each_is_named_after_its_attempt_and_says_whose_it_is() -> None:
    manifest = manifest_for(job("kubernetes"))
    assert manifest["metadata"]["name"] == NAME
    assert "generateName" not in manifest["metadata"]
    assert manifest["metadata"]["labels"]["team"] == "data"
    _, task = ecs(job("ecs"))
    assert task["clientToken"] == NAME
    assert {"key": "push-dispatch:run", "value": RUN} in task["tags"]
    assert order_for(job("docker")).arguments["name"] == NAME
    assert group(job("azure-container-instance"))["tags"]["push-dispatch-run"] == RUN
    annotations = cloud_run_body(job("cloud-run-v2"))["annotations"]
    assert annotations == {"push-dispatch/run": RUN, "push-dispatch/attempt": "2"}
    labels = vertex_body(job("vertex-ai"))["labels"]
    assert labels["push-dispatch-attempt"] == "2"
    assert labels["team"] == "data"


def test_no_platform_starts_a_process_again() -> None:
    task = cloud_run_body(job("cloud-run-v2", max_retries=3))["template"]["template"]
    assert task["maxRetries"] == 0
    scheduling = vertex_body(job("vertex-ai"))["jobSpec"]["scheduling"]
    assert scheduling["disableRetries"] is True
    assert scheduling["restartJobOnWorkerRestart"] is False
    assert group(job("azure-container-instance"))["properties"]["restartPolicy"] == "Never"
    spec = manifest_for(job("kubernetes"))["spec"]
    assert (spec["parallelism"], spec["completions"]) == (1, 1)
    assert spec["podReplacementPolicy"] == "Failed"
    assert not {"parallelism", "completions"} & set(spec["template"]["spec"])


def test_a_job_of_cloud_run_starts_with_its_creation() -> None:
    assert cloud_run_body(job("cloud-run-v2"))["startExecutionToken"]


def test_a_container_group_is_put_without_a_deployment() -> None:
    made = group(job("azure-container-instance"))
    assert set(made) <= {"location", "tags", "identity", "properties", "zones"}
    assert "[parameters(" not in str(made)


def test_what_has_ended_stays_until_it_was_read() -> None:
    assert manifest_for(job("kubernetes"))["spec"]["ttlSecondsAfterFinished"] == 3600
    assert order_for(job("docker", auto_remove=True)).arguments["auto_remove"] is False


def test_runs_of_the_same_content_share_a_task_definition() -> None:
    one, _ = ecs(job("ecs", env={"A": "1"}, command="a"))
    two, _ = ecs(job("ecs", env={"A": "2"}, command="b"))
    other, _ = ecs(job("ecs", image="i:2"))
    assert one.family == two.family != other.family


def test_the_timeout_of_a_run_goes_to_the_platform() -> None:
    assert manifest_for(job("kubernetes", 90))["spec"]["template"]["spec"][
        "activeDeadlineSeconds"
    ] == 90  # fmt: skip
    assert cloud_run_body(job("cloud-run-v2", 90))["template"]["template"]["timeout"] == "90s"
    assert vertex_body(job("vertex-ai", 90))["jobSpec"]["scheduling"]["timeout"] == "90s"


def test_nothing_of_prefect_is_in_the_environment() -> None:
    shown: Mapping[str, Any] = manifest_for(job("kubernetes"))
    assert "PREFECT" not in str(shown).upper().replace("PREFECT-JOB", "")
