"""Which request do Prefect's workers for ECS, Kubernetes, Docker build, and are manifests valid?

Runs inside `.envs/prefect`, beside `dump.py`. Writes one line of JSON, the workers' templates by
type; reads one, a list of cases `{"type", "template", "variables", "ours"}`; and writes one, a list
of answers: `request`, what the worker would send for the template and the variables, or `error`;
and `problems`, what the models of Kubernetes have against `ours`. Nothing is contacted.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import asyncio
import copy
import json
import logging
import sys
from functools import partial
from types import SimpleNamespace
from uuid import uuid4

import dump
from kubernetes_asyncio.client import models
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

#: What an account has where a template names no network.
SUBNETS = {
    "awsvpcConfiguration": {
        "subnets": ["subnet-0"],
        "assignPublicIp": "ENABLED",
        "securityGroups": [],
    }
}


async def request(case, classes):
    worker = classes[case["type"]]
    flow_run = FlowRun(flow_id=uuid4(), name="flow-run", job_variables=case["variables"])
    pool = SimpleNamespace(
        base_job_template=copy.deepcopy(case["template"]),
        name="pool",
        id=uuid4(),
        model_dump=lambda **_: {"name": "pool"},
    )
    configuration = await worker.job_configuration.resolve_for_flow_run(
        flow_run, client=dump.Client(), work_pool=pool, worker_name="worker"
    )
    match case["type"]:
        case "ecs":
            return _task(worker, configuration, flow_run, case.get("definition"))
        case "docker":
            engine = SimpleNamespace(version=lambda: {"Version": "27.0.0"})
            # Else it would be one on this machine, which has the engine's network.
            configuration.env.pop("PREFECT_API_URL", None)
            with temporary_settings(updates={PREFECT_API_URL: None}):
                return worker._build_container_settings(SimpleNamespace(), engine, configuration)
        case _:
            return configuration.job_manifest


def _task(worker, configuration, flow_run, described):
    """What is registered (or is there, as ECS describes it), and what RunTask gets."""
    stub = SimpleNamespace(_work_pool_name="pool", _logger=logging.getLogger("stub"))
    stub._get_or_generate_family = partial(worker._get_or_generate_family, stub)
    stub._load_network_configuration = lambda *_: copy.deepcopy(SUBNETS)
    stub._custom_network_configuration = lambda _vpc, given, _c: {"awsvpcConfiguration": given}
    definition = described or worker._prepare_task_definition(
        stub, configuration, region="us-east-1", flow_run=flow_run
    )
    worker._validate_task_definition(stub, definition, configuration)
    arn = configuration.task_run_request.get("taskDefinition") or "family:1"
    run = worker._prepare_task_run_request(stub, configuration, definition, arn, False)
    return {"definition": definition, "run": run}


def problems(case):
    kinds = {"kubernetes": "V1Job", "pod": "V1Pod", "job": "V1Job", "secret": "V1Secret"}
    kind = kinds.get(case["type"])
    return list(_against(case["ours"], kind, kind)) if kind else []


def _against(value, kind, path):
    """By the models that are made of the API server's own OpenAPI document."""
    if kind.startswith("list["):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for index, item in enumerate(value):
            yield from _against(item, kind[5:-1], f"{path}[{index}]")
    elif kind.startswith("dict("):
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is not an object"
            return
        for key, item in value.items():
            yield from _against(item, kind[5:-1].partition(", ")[2], f"{path}.{key}")
    elif kind in {"str", "int", "bool", "datetime"}:
        wanted = {"str": str, "int": int, "bool": bool, "datetime": str}[kind]
        if not isinstance(value, wanted) or (kind == "int" and isinstance(value, bool)):
            yield f"{path}: {value!r} is no {kind}"
    elif kind != "object":
        yield from _against_model(value, getattr(models, kind), path)


def _against_model(value, model, path):
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no {model.__name__}"
        return
    names = {shown: name for name, shown in model.attribute_map.items()}
    for key, item in value.items():
        if key not in names:
            yield f"{path}.{key} is not known"
        else:
            yield from _against(item, model.openapi_types[names[key]], f"{path}.{key}")


async def answer(case, classes):
    found = {"problems": problems(case)}
    if case["type"] not in classes:
        return found
    try:
        return {**found, "request": await request(case, classes)}
    except Exception as error:
        return {**found, "error": f"{type(error).__name__}: {error}"}


async def main():
    logging.disable(logging.CRITICAL)
    out, sys.stdout = sys.stdout, sys.stderr
    classes = dump.workers()
    reported = {kind: worker.get_default_base_job_template() for kind, worker in classes.items()}
    print(json.dumps(reported), file=out, flush=True)
    cases = json.loads(sys.stdin.readline())
    answers = [await answer(case, classes) for case in cases]
    print(json.dumps(answers, default=str), file=out, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
