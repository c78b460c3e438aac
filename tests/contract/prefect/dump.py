"""What does Prefect's own code make of a base job template and job variables?

Runs inside `.envs/prefect` and imports nothing but Prefect, its workers and the standard library.
Writes one line of JSON: the packages' versions and the base job templates of all workers. Then
reads one line, a list of cases, and writes one line, a list of answers.

A case is `{"type", "template", "deployment", "run"}`. Its answer has `configuration`: exactly what
Prefect hands to the worker's configuration class, recorded on its way there, and `refused`: what
that class has against it, or null; or it has `error`, if Prefect fails before. Nothing is
contacted: the deployment, the run and its flow are given to Prefect as they would be read.
"""

# mypy: disable-error-code="import-not-found, misc"
# ruff: noqa: E402 - what Prefect reads when it is imported is set before
from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

_home = tempfile.TemporaryDirectory(prefix="prefect-home-")
HOME = Path(_home.name)
GOOGLE = {
    "type": "authorized_user",
    "client_id": "nobody",
    "client_secret": "none",
    "refresh_token": "none",
    "quota_project_id": "nowhere",
}
(HOME / "google.json").write_text(json.dumps(GOOGLE))

# Set before Prefect is imported: no user's profile, no server, no telemetry, no cloud account.
os.environ |= {
    "PREFECT_HOME": str(HOME),
    "PREFECT_API_URL": "http://127.0.0.1:9/api",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "DO_NOT_TRACK": "1",
    "GOOGLE_APPLICATION_CREDENTIALS": str(HOME / "google.json"),
    "GOOGLE_CLOUD_PROJECT": "nowhere",
    "NO_GCE_CHECK": "true",
}

import prefect.server.api.collections_data.views as bundled
from prefect.plugins import load_prefect_collections
from prefect.utilities.dispatch import get_registry_for_type
from prefect.workers.base import BaseJobConfiguration, BaseWorker
from prefect.workers.process import ProcessWorker

PACKAGES = (
    "prefect",
    "prefect-aws",
    "prefect-azure",
    "prefect-docker",
    "prefect-gcp",
    "prefect-kubernetes",
)


def templates(classes: dict[str, Any]) -> dict[str, Any]:
    """Every worker's template: as its class has it, and as the server's own collection has it."""
    found = [
        {"type": kind, "origin": "worker", "template": worker.get_default_base_job_template()}
        for kind, worker in classes.items()
    ]
    for types in collection().values():
        found += [
            {
                "type": kind,
                "origin": "collection",
                "template": entry["default_base_job_configuration"],
            }
            for kind, entry in types.items()
        ]
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {"versions": versions, "templates": found}


def workers() -> dict[str, Any]:
    """The worker classes of the installed packages by the type of work pool that they serve."""
    load_prefect_collections()
    return {ProcessWorker.type: ProcessWorker, **(get_registry_for_type(BaseWorker) or {})}


def collection() -> Any:
    [directory] = bundled.__path__
    return json.loads((Path(directory) / "aggregate-worker-metadata.json").read_text("utf-8"))


async def render(cases: list[dict[str, Any]], classes: dict[str, Any]) -> list[dict[str, Any]]:
    known = {kind: worker.job_configuration for kind, worker in classes.items()}
    return [await one(case, known.get(case["type"], BaseJobConfiguration)) for case in cases]


async def one(case: dict[str, Any], configuration_class: type) -> dict[str, Any]:
    """Take the path that a worker takes with a run, up to the worker's configuration object."""
    recorder, recorded = recording(configuration_class)
    flow_run = SimpleNamespace(
        id=uuid4(),
        flow_id=uuid4(),
        deployment_id=uuid4(),
        job_variables=copy.deepcopy(case["run"]),
    )
    deployment = SimpleNamespace(job_variables=copy.deepcopy(case["deployment"]))
    pool = SimpleNamespace(base_job_template=copy.deepcopy(case["template"]))
    try:
        await recorder.resolve_for_flow_run(
            flow_run, client=Client(), work_pool=pool, worker_name="-", deployment=deployment
        )
    except Exception as error:
        if "configuration" not in recorded:
            return {"error": f"{type(error).__name__}: {error}"}
        return {**recorded, "refused": f"{type(error).__name__}: {error}"}
    return {**recorded, "refused": None}


def recording(configuration_class: type) -> tuple[Any, dict[str, Any]]:
    """The class, noting what it is made from. What is stamped on later is left out: it is about
    a worker that does not exist here."""
    recorded: dict[str, Any] = {}

    def note(self: Any, **rendered: Any) -> None:
        recorded["configuration"] = copy.deepcopy(rendered)
        configuration_class.__init__(self, **rendered)

    def leave(self: Any, *_: Any, **__: Any) -> None:
        return None

    members = {
        "__init__": note,
        "prepare_for_flow_run": leave,
        "__module__": configuration_class.__module__,
    }
    return type(configuration_class.__name__, (configuration_class,), members), recorded


class Client:
    """All that Prefect asks a server for on this path. Blocks and variables exist nowhere."""

    async def read_flow(self, flow_id: Any) -> Any:
        return SimpleNamespace(id=flow_id, name="flow")

    async def read_variable_by_name(self, name: str) -> None:
        return None


def main() -> None:
    logging.disable(logging.CRITICAL)
    out, sys.stdout = sys.stdout, sys.stderr  # what a package prints is not the answer
    classes = workers()
    print(json.dumps(templates(classes)), file=out, flush=True)
    cases = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(render(cases, classes))), file=out, flush=True)


if __name__ == "__main__":
    main()
