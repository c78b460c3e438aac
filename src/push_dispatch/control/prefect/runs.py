"""Which run of ours stands for a flow run, and what is it made of?

A flow run is scheduled once, and again by each rerun, retry and resume: its *turns*. Each turn is a
run of ours, whose idempotency key names the flow run and the turn, so that reading the same flow
run a hundred times makes one run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from push_dispatch.control.prefect.attachment import Attachment
from push_dispatch.core.bounds import RUN_NAME, TAG
from push_dispatch.core.model import Run
from push_dispatch.core.request import Request, keyed_id
from push_dispatch.ports import Ports
from push_dispatch.ports.prefect import Deployment, FlowRun

__all__ = ["Turn", "flow_run_of", "key_of", "newest", "request_of"]

_PREFIX = "prefect:"
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Turn:
    """The newest turn of a flow run: 0 and None if it has had none."""

    number: int = 0
    run: Run | None = None


def key_of(flow_run: str, turn: int) -> str:
    """The idempotency key of a turn, counted from 1."""
    return f"{_PREFIX}{flow_run}:{turn}"


def flow_run_of(run: Run) -> str:
    """The id of the flow run that a run of ours stands for; empty if for none."""
    if not run.idempotency_key.startswith(_PREFIX):
        return ""
    return run.idempotency_key.removeprefix(_PREFIX).rpartition(":")[0]


def newest(ports: Ports, pool: str, flow_runs: Iterable[str]) -> dict[str, Turn]:
    """The newest turn of each flow run. A turn follows only on one that has ended, so that the
    first that has not is the newest; reads one more than there are."""
    turns = dict.fromkeys(flow_runs, Turn())
    unsettled, number = list(turns), 0
    while unsettled:
        number += 1
        uuids = {keyed_id(pool, key_of(flow_run, number)): flow_run for flow_run in unsettled}
        found = ports.store.runs(pool, uuids)
        for uuid, run in found.items():
            turns[uuids[uuid]] = Turn(number, run)
        unsettled = [uuids[uuid] for uuid, run in found.items() if run.state.ended]
    return turns


def request_of(
    attachment: Attachment,
    flow_run: FlowRun,
    deployment: Deployment | None,
    flow_name: str,
    turn: int,
    *,
    template: Mapping[str, Any] = _NONE,
) -> Request:
    """What to submit for a turn: due when the server says, in the queue that it names. `template`
    is our pool's."""
    env = {
        "PREFECT__FLOW_RUN_ID": flow_run.id,
        "PREFECT__FLOW_ID": flow_run.flow_id,
        "PREFECT__FLOW_NAME": flow_name,
        "PREFECT__WORKER_NAME": "push-dispatch",
    }
    if deployment is not None:
        env |= {
            "PREFECT__DEPLOYMENT_ID": deployment.id,
            "PREFECT__DEPLOYMENT_NAME": deployment.name,
        }
    inherited = dict(deployment.job_variables) if deployment else {}
    labels = labels_of(attachment, flow_run, deployment, flow_name)
    own = {**_with_env(flow_run.job_variables, env)}
    return Request(
        pool=attachment.pool,
        queue=attachment.queues.get(flow_run.queue_id, ""),
        variables={**own, **_labelled(template, inherited, own, labels)},
        deployment_variables=inherited,
        name=flow_run.name[:RUN_NAME],
        tags=tuple(tag[:TAG] for tag in flow_run.tags),
        at=flow_run.due,
        idempotency_key=key_of(flow_run.id, turn),
    )


def labels_of(
    attachment: Attachment, flow_run: FlowRun, deployment: Deployment | None, flow_name: str
) -> dict[str, str]:
    """What Prefect's own workers label infrastructure with, but for the version of theirs; the
    platforms make of it what they take."""
    labels = {
        "flow-run-id": flow_run.id,
        "flow-run-name": flow_run.name,
        "work-pool-name": attachment.work_pool,
        "work-pool-id": attachment.pool_id,
        "worker-name": "push-dispatch",
        "flow-id": flow_run.flow_id,
        "flow-name": flow_name,
    }
    if deployment is not None:
        labels |= {
            "deployment-id": deployment.id,
            "deployment-name": deployment.name,
            "deployment-updated": deployment.updated.replace("Z", "+00:00"),
        }
    return {f"prefect.io/{name}": value for name, value in labels.items() if value}


def _labelled(
    template: Mapping[str, Any],
    inherited: Mapping[str, Any],
    own: Mapping[str, Any],
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """The job variable `labels`, where the pool has it: those that people gave win."""
    declared = template.get("variables", {}).get("properties", {}).get("labels")
    if not isinstance(declared, Mapping):
        return {}
    given = own.get("labels", inherited.get("labels", declared.get("default"))) or {}
    # What is not an object is refused as it stands.
    return {"labels": {**labels, **given}} if isinstance(given, Mapping) else {}


def _with_env(variables: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """The job variables of a flow run, with what tells its process who it is."""
    own = variables.get("env")
    named = {name: value for name, value in env.items() if value}
    return {**variables, "env": {**named, **(own if isinstance(own, Mapping) else {})}}
