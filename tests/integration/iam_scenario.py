"""Everything that the functions can do, once: what each of them asks AWS for is on record then.

That no method of the store and of the queues is forgotten is tested beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from push_dispatch.adapters.prefect.server import connect
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.api.v1 import TABLE
from push_dispatch.control.deployments import save_deployment
from push_dispatch.control.pools import change_pool, create_pool, keep_template
from push_dispatch.control.prefect.attach import Wanted, attach
from push_dispatch.control.prefect.attachment import GATEWAY, Bridge
from push_dispatch.control.prefect.runs import flow_run_of
from push_dispatch.core.circuit import OPEN_AFTER, Circuit
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.events import Stop
from push_dispatch.core.model import Attempt, Fallback, Pool, Queue, Rate, Ready, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.core.schedule import Schedule
from push_dispatch.engine.job import name_of
from push_dispatch.engine.submit import submit
from push_dispatch.engine.transition import transition
from push_dispatch.handlers.notify import NOTIFY_FILTERS
from push_dispatch.handlers.push import MAX_RECEIVES
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.local.shards import StreamPump
from push_dispatch.local.stream import Delivery
from push_dispatch.platforms.templates import default_template
from push_dispatch.ports.messages import Poll, Push, StopAttempt, Wake, Watch, encode
from push_dispatch.ports.prefect import Address
from push_dispatch.ports.reporter import token_for
from tests.fakes.aci import variables as aci_variables
from tests.fakes.cloud_run import variables as cloud_run_variables
from tests.fakes.modal import variables as modal_variables
from tests.integration.iam_system import REPORT_KEY, ROLES, Function, System, records

__all__ = ["everything"]

#: By type of pool: the function that pushes, and job variables.
PUSHES = {
    "ecs": "PushEcs",
    "managed": "PushEcs",
    "cloud-run-v2": "PushCloudRun",
    "azure-container-instance": "PushAci",
    "modal": "PushModal",
}
VARIABLES: Mapping[str, Mapping[str, Any]] = {
    "ecs": {
        "image": "app:1",
        "command": "work",
        "execution_role_arn": ROLES[0],
        "task_role_arn": ROLES[1],
        "labels": {"team": "a"},
    },
    "managed": {"command": "work"},
    "cloud-run-v2": cloud_run_variables(),
    "azure-container-instance": aci_variables(),
    "modal": modal_variables(),
}
#: Types that have a function of their own.
PLATFORMS = tuple(kind for kind in PUSHES if kind != "managed")


def everything(system: System) -> None:
    """Each function, with every way through it."""
    _declare(system)
    changes = _pump(system, "Dispatch", STREAM_FILTERS)
    _submit(system)
    _dispatch(system, changes)
    runs = {kind: _push(system, kind) for kind in PUSHES}
    _look_up(system)
    _stop_again(system)
    _give_up(system)
    _fall_back(system)
    _report(system, runs)
    reported = _pump(system, "Notify", NOTIFY_FILTERS)
    _finish(system, runs["ecs"])
    reported.drain()
    change = {"detail": {"id": "modal.r/1", "pool": "modal"}}
    assert system["Webhook"](records(json.dumps(change))) == {"batchItemFailures": []}
    assert system.others.webhook.calls() == 1
    ended = {"detail": {"run": runs["ecs"].id, "to": "COMPLETED"}}
    assert system["Trace"](records(json.dumps(ended))) == {"batchItemFailures": []}
    assert system.others.collector.spans
    _prefect(system, changes)
    _at_once(system, changes)
    _ask(system)
    _ask_to_change(system, changes)
    changes.drain()
    _sweep(system)


# -- what is there --------------------------------------------------------------------------------


def _declare(system: System) -> None:
    """A pool of each type, one with fallbacks, one with a bounded line, a scheduled deployment."""
    for kind in PUSHES:
        template = default_template(kind)
        if kind == "ecs":
            tags = [{"key": "made-by", "value": "push-dispatch"}]
            template["job_configuration"]["task_definition"]["tags"] = tags
        create_pool(system.ports, Pool(kind, kind, secrets=("db",)), template)
    line = (Queue("default", 1, max_waiting=2),)
    bounded = Pool("bounded", "modal", queues=line, paused=True, key_max_waiting=9)
    create_pool(system.ports, bounded, default_template("modal"))
    busy = Pool("busy", "ecs", platform_rate=Rate(100, 60), key_limit=1)
    create_pool(system.ports, busy, default_template("ecs"))
    kept = {k: keep_template(system.ports, "busy", default_template(k)) for k in PLATFORMS}
    fallbacks = tuple(Fallback(kind, template) for kind, template in kept.items())
    change_pool(system.ports, "busy", lambda pool: replace(pool, fallbacks=fallbacks))
    nightly = Deployment("nightly", "modal", schedules=(Schedule(cron="0 3 * * *"),))
    save_deployment(system.ports, replace(nightly, image="app:1", command="work"))


def _pump(system: System, name: str, filters: Sequence[Mapping[str, Any]]) -> StreamPump:
    """What changes from now on, for that function."""

    def fail(failed: Any) -> None:
        raise AssertionError(failed)

    delivery = Delivery(system[name], filters, fail)
    pump = StreamPump(system.streams, system.stream, delivery)
    pump.begin()
    return pump


def _run(system: System, pool: str, kind: str = "", **more: Any) -> Run:
    """A run that waits, submitted by somebody else."""
    variables = {**VARIABLES[kind or pool], **more.pop("variables", {})}
    return submit(system.ports, Request(pool, variables=variables, **more)).run


def _cancel(system: System, run: Run) -> None:
    transition(system.ports, run.pool, run.uuid, Stop(Reason.CANCELLED_BY_USER))


def _now(system: System, run: Run) -> Run:
    found = system.ports.store.run(run.pool, run.uuid)
    assert found is not None
    return found


def _pushed(system: System, run: Run) -> tuple[Attempt, Watch]:
    """Its attempt, which has a handle, and the order to look at it."""
    attempt = _now(system, run).current
    assert attempt is not None
    assert attempt.handle is not None, _now(system, run)
    return attempt, Watch(attempt.handle, run.id, attempt.number)


def _order(system: System, run: Run, **more: Any) -> Push:
    pool = system.ports.store.pool(run.pool)
    assert pool is not None
    return Push(run.id, 1, pool.type, pool.template, **more)


# -- submit, dispatch -----------------------------------------------------------------------------


def _submit(system: System) -> None:
    function = system["Submit"]
    received = {"id": "e-1", "detail": {"pool": "modal", "job_variables": VARIABLES["modal"]}}
    for _ in range(2):  # the bus delivers at least once
        function(records(json.dumps(received)))
    function(records(json.dumps({"id": "e-2", "detail": {"deployment": "nightly"}})))
    firing = {"deployment": "nightly", "schedule": "default", "time": "2026-11-24T03:00:00Z"}
    assert function(firing)["created"]
    refused = function({"id": "e-3", "detail": {"pool": "modal", "job_variables": {"imagge": 1}}})
    assert refused["reason"] == "invalid_variables"
    for number, reason in (1, None), (2, None), (3, "too_many_waiting"):
        received = {"pool": "bounded", "concurrency_key": "k", "job_variables": VARIABLES["modal"]}
        answer = function({"id": f"e-bounded-{number}", "detail": received})
        assert answer.get("reason") == reason


def _dispatch(system: System, changes: StreamPump) -> None:
    """Runs of all platforms, now, later and too late; one whose queue is gone; and each is stopped
    once it was pushed."""
    stopped = [_run(system, kind) for kind in PUSHES]
    _run(system, "modal", at=system.now() + 60_000)
    keyed = [_run(system, "busy", "ecs", concurrency_key="k") for _ in range(2)]
    _add_queue(system, "gone")
    homeless = _run(system, "modal", queue="gone")
    _retire_queue(system, "gone")
    changes.drain()
    assert _now(system, homeless).queue == "default"
    held = {holder.run for holder in system.ports.store.ledger("busy").holders}
    assert held == {keyed[0].uuid}
    system["Dispatch"].take(Wake("modal"))
    for run in stopped:
        system[PUSHES[run.pool]].take(_order(system, run))
        _cancel(system, run)
    late = _run(system, "modal", start_within=1)
    system.wait(2)
    changes.drain()
    assert _now(system, late).reason == "expired"
    for run in stopped:
        system[PUSHES[run.pool]].take(StopAttempt(run.id, 1))


def _add_queue(system: System, name: str) -> None:
    queue = Queue(name, 2)
    change_pool(system.ports, "modal", lambda p: replace(p, queues=(*p.queues, queue)))


def _retire_queue(system: System, name: str) -> None:
    """As a deletion leaves it that was interrupted."""

    def without(pool: Pool) -> Pool:
        queues = tuple(queue for queue in pool.queues if queue.name != name)
        return replace(pool, queues=queues, retired=(name,))

    change_pool(system.ports, "modal", without)


# -- push -----------------------------------------------------------------------------------------


def _push(system: System, kind: str) -> Run:
    """Started, with secrets and the reporter, and polled, alone and in a turn. And a run that has
    been cancelled."""
    function = system[PUSHES[kind]]
    secret = {"env": {"PASSWORD": "{{ secrets.db }}"}, "reporter": "python"}
    run = _run(system, kind, variables=secret)
    function.take(_order(system, run))
    attempt, watch = _pushed(system, run)
    function.take(Poll(attempt.platform, (watch,)))
    turn = system.ports.store.poll_turn(run.pool, attempt.platform)
    function.take(Poll(attempt.platform, (), pool=run.pool, at=turn.at))
    cancelled = _run(system, kind)
    _cancel(system, cancelled)
    function.take(_order(system, cancelled))
    return run


def _look_up(system: System) -> None:
    """What was claimed so long ago that ECS may have forgotten its token."""
    run = _run(system, "ecs")
    system.wait(-55 * 60)
    system["PushEcs"].take(_order(system, run))
    system.wait(55 * 60)
    assert _now(system, run).state is RunState.PENDING


def _stop_again(system: System) -> None:
    run = _run(system, "ecs")
    system["PushEcs"].take(_order(system, run))
    _cancel(system, run)
    system.others.ecs.fail_next("StopTask", "ThrottlingException")
    system["PushEcs"].take(StopAttempt(run.id, 1))


def _give_up(system: System) -> None:
    for kind in PLATFORMS:
        run = _run(system, kind)
        broken = encode(replace(_order(system, run), type="no-such-type"))
        system[PUSHES[kind]](records(broken, receives=MAX_RECEIVES))
        assert _now(system, run).reason == "push_failed"


def _fall_back(system: System) -> None:
    """From each platform to each, and one push that the gate lets pass."""
    pool = system.ports.store.pool("busy")
    assert pool is not None
    for own in pool.fallbacks:
        function = system[PUSHES[own.type]]
        tried_enough = Circuit(OPEN_AFTER, system.now())
        system.ports.store.save_circuit("busy", own.type, tried_enough)
        for number, following in enumerate((*pool.fallbacks, None)):
            run = _run(system, "busy", own.type)
            function.take(Push(run.id, 1, own.type, own.template, fallback=number, gated=True))
            attempt = _now(system, run).current
            assert attempt is not None
            assert attempt.type == (following or own).type, attempt
            assert (attempt.handle is not None) == (following is None), attempt


# -- what comes after -----------------------------------------------------------------------------


def _report(system: System, runs: Mapping[str, Run]) -> None:
    """A run of each platform says that it starts, runs and has ended; of one in ECS the end is
    told by ECS. What platforms keep of the others is cleaned up, at the second look."""
    clouds: dict[str, Any] = {
        "azure-container-instance": system.others.aci,
        "cloud-run-v2": system.others.cloud_run,
        "modal": system.others.modal,
    }
    for kind, run in runs.items():
        for what in ("claim", "beat") if kind == "ecs" else ("claim", "beat", "end"):
            message = {"run": run.id, "attempt": 1, "by": "me", "what": what, "exit_code": 0}
            token = token_for(REPORT_KEY, run.id, 1)
            headers = {"authorization": f"Bearer {token}"}
            answer = system["Report"]({"headers": headers, "body": json.dumps(message)})
            assert answer["statusCode"] == 200, answer
        if (fake := clouds.get(kind)) is not None:
            attempt, watch = _pushed(system, run)
            function, name = system[PUSHES[kind]], name_of(run.uuid, 1)
            function.take(Poll(attempt.platform, (watch,)))
            fake.begin(name)
            fake.write_log(name, "hello")
            fake.finish(name, 0)
            function.take(Poll(attempt.platform, (watch,)))


_DB = {"PUSH_DISPATCH_SECRET_db": "hunter2"}


def _prefect(system: System, changes: StreamPump) -> None:
    """A work pool of each type, read ahead, claimed and pushed; one that waits and says why, one
    that was deleted on the server; a hint, and an end on the bus. One is left to the sweep."""
    server, function = system.others.prefect, system["Prefect"]
    server.auth, known = "hunter2", secrets_from({"PUSH_DISPATCH_SECRETS": "env", **_DB})
    minute: dict[str, Any] = {"source": "aws.events"}
    pools = {kind: server.pool(f"prefect-{kind}", type=kind) for kind in PLATFORMS}
    due: dict[str, Any] = {}
    for kind, pool in pools.items():
        declared = server.deployment(kind, pool, job_variables=dict(VARIABLES[kind]))
        wanted = Wanted(pool["name"], Address(server.api, auth_secret="db"), hint_secret="door")
        attach(Bridge(system.ports, lambda address: connect(address, known)), wanted)
        # Of a queue that is not mirrored yet.
        due[kind] = {**declared, "work_queue_id": server.queue(pool, "new")["id"]}
        server.flow_run(due[kind])
    assert function(minute)["submitted"] == len(PLATFORMS)
    changes.drain()
    for pool in pools.values():
        (run,) = system.ports.store.list_runs(pool["name"])
        function.take(_order(system, run))
        assert server.runs[flow_run_of(run)]["state"]["type"] == "PENDING"
    bus = json.dumps({"detail": {"run": run.id}})
    assert function(records(bus)) == {"batchItemFailures": []}
    hint = {"rawPath": "/", "headers": {"x-push-dispatch-hint": "door"}, "body": "{}"}
    assert function(hint)["statusCode"] == 200
    deleted, left = server.flow_run(due["ecs"]), server.flow_run(due["ecs"])
    pools["modal"]["concurrency_limit"] = 0
    waiting = server.flow_run(due["modal"])
    system.wait(60)
    function(minute)
    changes.drain()
    system.wait(60)
    function(minute)
    assert server.state(waiting) == ("SCHEDULED", "AwaitingSlot")
    mine = {flow_run_of(r): r for r in system.ports.store.list_runs(pools["ecs"]["name"])}
    del server.runs[deleted]
    function.take(_order(system, mine[deleted]))
    assert _now(system, mine[deleted]).reason == "withdrawn"
    assert _now(system, mine[left]).state is RunState.SCHEDULED


def _finish(system: System, run: Run) -> None:
    name = name_of(run.uuid, 1)
    system.others.ecs.finish(name, 0)
    events = system.others.ecs.events_as_delivered(name)
    assert system["Finish"](records(*map(json.dumps, events))) == {"batchItemFailures": []}
    assert _now(system, run).state is RunState.COMPLETED


def _at_once(system: System, changes: StreamPump) -> None:
    """Who submits hands over, to each platform and to Prefect's function; and so does who hears of
    ends, from pools that have fallen back to ECS."""
    for kind in (*PLATFORMS, "prefect"):
        own, name = ("ecs" if kind == "prefect" else kind), f"at-once-{kind}"
        gateway = GATEWAY if kind == "prefect" else ""
        pool = Pool(name, own, limit=2, rate=Rate(3, 60), gateway=gateway)
        create_pool(system.ports, pool, default_template(own))
        requested = {"pool": name, "job_variables": VARIABLES[own]}
        system["Submit"]({"id": f"e-{name}", "detail": requested})
        _http(system["Api"], "POST", f"/v1/pools/{name}/runs", {"job_variables": VARIABLES[own]})
        held = list(system.ports.store.list_runs(name))
        assert len(system.ports.store.ledger(name).holders) == len(held) == 2
        waiting = [_run(system, name, "ecs") for _ in range(2)]
        changes.drain()
        template = keep_template(system.ports, name, default_template("ecs"))
        events: list[Any] = []
        for run in held:
            system.ports.store.save_run(replace(run, rev=run.rev + 1, variables=VARIABLES["ecs"]))
            system["PushEcs"].take(Push(run.id, 1, "ecs", template))
            system.others.ecs.finish(name_of(run.uuid, 1), 0)
            events += system.others.ecs.events_as_delivered(name_of(run.uuid, 1))
        system["Finish"](records(*map(json.dumps, events)))
        # The other one waits for the rate.
        assert [h.run for h in system.ports.store.ledger(name).holders] == [waiting[0].uuid]
        changes.drain()


def _ask(system: System) -> None:
    """Every path of the API that only reads, and what concerns a run."""
    api, runs = system["Api"], "/v1/pools/modal/runs"
    nightly, key = {"deployment": "nightly"}, {"idempotency-key": "k"}
    run = _http(api, "POST", runs, nightly, **key)["run"]["id"]
    later = {"job_variables": VARIABLES["modal"], "in_seconds": 600}
    waiting = _http(api, "POST", runs, later)["run"]["id"]
    for path in ("/v1/pools/modal", "/v1/pools/modal/queues/default"):
        for verb in ("pause", "resume"):
            _http(api, "POST", f"{path}/{verb}")
    names = {"pool": "modal", "queue": "default", "deployment": "nightly", "type": "modal"}
    for named in (run, waiting):
        for route in TABLE.routes:
            if route.method == "GET" and route.name != "show_log":  # It reads no platform's logs.
                values = {**names, "run": named, "reason": "behind_others"}
                _http(api, "GET", route.path.format(**values))
    _http(api, "POST", f"{runs}/{waiting}/cancel")


def _ask_to_change(system: System, changes: StreamPump) -> None:
    """A pool that comes and goes; one run moves, another has ended with its slot held."""
    api, pool = system["Api"], "/v1/pools/brief"
    _http(api, "PUT", pool, {"type": "modal:push"})
    _http(api, "PUT", f"{pool}/queues/slow", {"priority": 7})
    wanted = {"job_variables": VARIABLES["modal"]}
    ends = _http(api, "POST", f"{pool}/runs", wanted)["run"]["id"]
    moves = _http(api, "POST", f"{pool}/runs", {**wanted, "in_seconds": 600})["run"]["id"]
    changes.drain()
    _http(api, "GET", f"{pool}/overview")
    _http(api, "POST", f"{pool}/runs/{moves}/move", {"queue": "slow"})
    _http(api, "POST", f"{pool}/runs/{moves}/boost", {})
    _http(api, "POST", f"{pool}/runs/{ends}/cancel")
    _http(api, "DELETE", f"{pool}/queues/slow")
    _http(api, "PUT", "/v1/deployments/brief", {"pool": "brief"})
    _http(api, "DELETE", "/v1/deployments/brief")
    _http(api, "DELETE", pool, query="force=true")


def _http(
    api: Function, method: str, path: str, body: Any = None, query: str = "", **headers: str
) -> Any:
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", **headers},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": body and json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = api(event)
    assert answer["statusCode"] < 300, (path, answer)
    return json.loads(answer["body"])


# -- sweep ----------------------------------------------------------------------------------------


def _sweep(system: System) -> None:
    """Admitted and never pushed, silent, due soon, too late, in a queue that is gone."""
    now = system.now()
    _run(system, "modal", at=now + 1_000_000)
    _add_queue(system, "old")
    retired = _run(system, "modal", queue="old")
    late = _run(system, "modal", at=now + 500_000, start_within=1)
    system.ports.store.enqueue("modal", [Ready.of(retired), Ready.of(late)], now)
    _retire_queue(system, "old")
    first = system["Sweep"]({})
    system.wait(600)
    second = system["Sweep"]({})
    assert (first["failed"], second["failed"]) == ([], [])
    for what in ("expired", "polled", "moved", "pushed_again", "stopped", "woken"):
        assert first[what] + second[what] > 0, what
