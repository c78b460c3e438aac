"""Which request do Prefect's own workers for Google Cloud and Azure build, and is ours valid?

Runs inside `.envs/prefect`, beside `dump.py`. Writes one line of JSON, the workers' templates by
type; reads one, a list of cases `{"type", "template", "variables", "ours"}`; and writes one, a list
of answers: `request`, what the worker would send for the template and the variables, or `error`;
and `problems`, what Google's discovery documents have against `ours`. Nothing is contacted.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import asyncio
import copy
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import dump
import googleapiclient
from prefect.client.schemas.objects import FlowRun

_DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache/documents"
_SCHEMAS = {
    "cloud-run": ("run.v2.json", "GoogleCloudRunV2Job"),
    "cloud-run-v2": ("run.v2.json", "GoogleCloudRunV2Job"),
    "vertex-ai": ("aiplatform.v1.json", "GoogleCloudAiplatformV1CustomJob"),
}
_KINDS = {"string": str, "boolean": bool, "array": list, "object": dict}


async def request(case, classes):
    worker = classes[case["type"]]
    flow_run = FlowRun(flow_id=uuid4(), name="flow-run", job_variables=case["variables"])
    pool = SimpleNamespace(
        base_job_template=copy.deepcopy(case["template"]), name="pool", id=uuid4()
    )
    configuration = await worker.job_configuration.resolve_for_flow_run(
        flow_run, client=dump.Client(), work_pool=pool, worker_name="worker"
    )
    if case["type"] == "vertex-ai":
        return _custom_job(worker, configuration)
    if case["type"] == "azure-container-instance":
        return configuration.arm_template
    return configuration.job_body


def _custom_job(worker, configuration):
    from google.cloud.aiplatform_v1.types import CustomJob
    from google.protobuf.json_format import MessageToDict

    labels = worker._get_compatible_labels(SimpleNamespace(), configuration)
    spec = worker._build_job_spec(SimpleNamespace(), configuration)
    job = CustomJob(display_name=configuration.job_name, job_spec=spec, labels=labels)
    return MessageToDict(CustomJob.pb(job))


def problems(case):
    if case["type"] not in _SCHEMAS:
        return []
    file, name = _SCHEMAS[case["type"]]
    schemas = json.loads((_DOCUMENTS / file).read_text("utf-8"))["schemas"]
    return list(_against(case["ours"], {"$ref": name}, schemas, name))


def _against(value, schema, schemas, path):
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{path}: {value!r} is no {kind}"
        return
    if kind in _KINDS and not isinstance(value, _KINDS[kind]):
        yield f"{path}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {schema['enum']}"
    if kind == "array":
        for index, item in enumerate(value):
            yield from _against(item, schema["items"], schemas, f"{path}[{index}]")
    if kind == "object":
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        for key, item in value.items():
            if key in known:
                yield from _against(item, known[key], schemas, f"{path}.{key}")
            elif more is None:
                yield f"{path}.{key} is not known"
            else:
                yield from _against(item, more, schemas, f"{path}.{key}")


async def answer(case, classes):
    try:
        made = {"request": await request(case, classes)}
    except Exception as error:
        made = {"error": f"{type(error).__name__}: {error}"}
    return {**made, "problems": problems(case)}


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
