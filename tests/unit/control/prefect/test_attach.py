"""What is refused when a work pool is attached, and what does a detachment leave?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from push_dispatch.control.pools import change_pool, delete_pool
from push_dispatch.control.prefect.attach import Wanted, attach, detach
from push_dispatch.control.prefect.attachment import attached, problem_of
from push_dispatch.core.errors import Invalid, NotFound, PushDispatchError, Refused, Unavailable
from push_dispatch.core.model import RunState
from push_dispatch.core.reasons import describe
from push_dispatch.ports.prefect import Address
from tests.fakes.bridged import START, Bridged, Clock
from tests.fakes.prefect import FakePrefect

ECS = {
    "job_configuration": {"image": "{{ image }}", "env": "{{ env }}", "command": "{{ command }}"},
    "variables": {
        "type": "object",
        "properties": {
            "image": {"type": "string"},
            "env": {"type": "object"},
            "command": {"type": ["string", "null"]},
        },
        "required": ["image"],
    },
}


def nothing_is_changed(ours: Bridged) -> None:
    assert ours.store.pool_names() == []
    assert ours.store.attachments() == {}


def refused(ours: Bridged, wanted: Wanted) -> PushDispatchError:
    with pytest.raises(PushDispatchError) as raised:
        attach(ours.bridge, wanted)
    return raised.value


def test_a_url_that_is_none(ours: Bridged) -> None:
    error = refused(ours, Wanted("etl", Address("prefect:4200")))
    assert "--api-url 'prefect:4200' is no URL" in error.message
    nothing_is_changed(ours)


def test_a_server_that_is_not_there(ours: Bridged) -> None:
    error = refused(ours, Wanted("etl", Address("http://127.0.0.1:9/api")))
    assert isinstance(error, Unavailable)
    assert error.reason == "prefect_unavailable"
    assert "http://127.0.0.1:9/api cannot be reached" in error.message
    nothing_is_changed(ours)


def test_wrong_credentials(server: FakePrefect, clock: Clock) -> None:
    server.auth = "admin:right"
    server.pool("etl")
    ours = Bridged(server, clock, {"good": "admin:right", "bad": "admin:wrong"})
    for address in (Address(server.api), Address(server.api, auth_secret="bad")):
        error = refused(ours, Wanted("etl", address))
        assert isinstance(error, Refused)
        assert error.reason == "prefect_denied"
        nothing_is_changed(ours)
    done = ours.attach("etl", address=Address(server.api, auth_secret="good"))
    pool = ours.store.pool("etl")
    assert pool is not None
    template = ours.store.template("etl", pool.template)
    assert template is not None
    env = template["variables"]["properties"]["env"]["default"]
    assert env["PREFECT_API_AUTH_STRING"] == "{{ secrets.good }}", "never in clear"
    assert "admin" not in str(done.attachment.document())


def test_a_secret_that_is_not_there(server: FakePrefect, ours: Bridged) -> None:
    error = refused(ours, Wanted("etl", Address(server.api, key_secret="nowhere")))
    assert error.reason == "secret_unavailable"
    assert "'nowhere'" in error.message


@pytest.mark.parametrize(("version", "ok"), [("3.3.9", False), ("2.20.1", False), ("3.4.0", True)])
def test_a_server_that_is_too_old(
    server: FakePrefect, ours: Bridged, version: str, ok: bool
) -> None:
    server.pool("etl")
    server.said_version = version
    if ok:
        assert ours.attach("etl").warnings == (f"version {version} of Prefect was not tried",)
        return
    error = refused(ours, Wanted("etl", Address(server.api)))
    assert error.reason == "prefect_version"
    assert f"Prefect {version}: 3.4 is the oldest" in error.message
    nothing_is_changed(ours)


def test_what_is_no_prefect_server(server: FakePrefect, ours: Bridged) -> None:
    server.said_version = "hello"
    assert "/api" in refused(ours, Wanted("etl", Address(server.api))).message


@pytest.mark.parametrize("path", ["", "/", "/ui"])
def test_a_url_without_api_at_its_end(server: FakePrefect, ours: Bridged, path: str) -> None:
    server.pool("etl")
    error = refused(ours, Wanted("etl", Address(server.url + path)))
    assert error.reason == "prefect_version"
    assert f"its url ends with /api, such as {server.url}" in error.message.lower()
    nothing_is_changed(ours)


def test_a_work_pool_that_does_not_exist(server: FakePrefect, ours: Bridged) -> None:
    error = refused(ours, Wanted("nowhere", Address(server.api)))
    assert isinstance(error, NotFound)
    assert "has no work pool 'nowhere'" in error.message
    assert error.reason == "work_pool_not_found"
    assert describe(error.reason).remedy == "prefect work-pool ls"
    nothing_is_changed(ours)


def test_a_work_pool_that_a_worker_serves_is_attached_with_a_warning(
    server: FakePrefect, ours: Bridged
) -> None:
    server.pool("etl")
    server.workers["etl"] = [
        {"name": "worker-1", "status": "ONLINE"},
        {"name": "gone", "status": "OFFLINE"},
    ]
    (warning,) = ours.attach("etl").warnings
    assert "'worker-1'" in warning
    assert "gone" not in warning


def test_a_type_that_no_platform_serves(server: FakePrefect, ours: Bridged) -> None:
    server.pool("etl", type="nomad")
    error = refused(ours, Wanted("etl", Address(server.api)))
    assert error.reason == "unknown_type"
    assert "'nomad'" in error.message
    assert "--type" in error.message
    nothing_is_changed(ours)
    ours.attach("etl", type="process")
    pool = ours.store.pool("etl")
    assert pool is not None
    assert pool.type == "process"


def test_a_template_that_our_platform_cannot_take_with_all_violations(
    server: FakePrefect, ours: Bridged
) -> None:
    template = {
        "job_configuration": {"image": "{{ image }}"},
        "variables": {
            "type": "object",
            "properties": {
                "image": {"type": "string", "default": 3},
                "cpu": {"type": "integer", "default": "x"},
            },
        },
    }
    server.pool("etl", type="ecs", base_job_template=template)
    error = refused(ours, Wanted("etl", Address(server.api)))
    assert isinstance(error, Invalid)
    assert error.reason == "invalid_template"
    assert "image" in error.message
    assert "cpu" in error.message
    nothing_is_changed(ours)


def test_deployments_without_an_image_are_all_named(server: FakePrefect, ours: Bridged) -> None:
    pool = server.pool("etl", type="ecs", base_job_template=ECS)
    server.deployment("with", pool, job_variables={"image": "alpine"})
    server.deployment("without", pool)
    server.deployment("neither", pool, job_variables={"env": {"A": "1"}})
    error = refused(ours, Wanted("etl", Address(server.api)))
    assert "deployment 'without'" in error.message
    assert "deployment 'neither'" in error.message
    assert "'with':" not in error.message
    assert "image" in error.message
    nothing_is_changed(ours)


def test_a_name_that_is_taken(server: FakePrefect, ours: Bridged) -> None:
    server.pool("etl")
    ours.attach("etl")
    other = server.pool("other")
    error = refused(ours, Wanted(other["name"], Address(server.api), name="etl"))
    assert error.reason == "pool_exists"
    assert "choose another --name" in error.message


def test_names_that_we_do_not_take_become_like_ones(server: FakePrefect, ours: Bridged) -> None:
    pool = server.pool("Étage 1")
    server.queue(pool, "très urgent")
    done = ours.attach("Étage 1")
    assert done.attachment.pool.startswith("tage-1-")
    found = ours.store.pool(done.attachment.pool)
    assert found is not None
    assert [q.description for q in found.queues] == ["", "Prefect: très urgent"]


def test_attaching_again_takes_over_new_credentials_and_keeps_who_we_are(
    server: FakePrefect, clock: Clock
) -> None:
    server.pool("etl")
    ours = Bridged(server, clock, {"auth": "a:b"})
    first = ours.attach("etl").attachment
    server.auth = "a:b"
    again = ours.attach("etl", address=Address(server.api, auth_secret="auth")).attachment
    assert again.bridge == first.bridge
    assert ours.store.attachments()["etl"]["address"]["auth_secret"] == "auth"


def test_a_detachment_gives_back_what_waits_and_deletes_the_pool(
    server: FakePrefect, ours: Bridged
) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment, at=START + 90_000)
    ours.tick()
    ours.deliver()
    assert detach(ours.bridge, "etl") == 1
    ours.deliver()
    assert ours.store.pool_names() == []
    assert ours.store.attachments() == {}
    assert server.workers["etl"] == []
    ours.minute()
    ours.minute()
    assert server.state(run) == ("SCHEDULED", "Scheduled")
    assert ours.started(run) == 0


def test_a_detachment_waits_for_what_runs(server: FakePrefect, ours: Bridged) -> None:
    deployment = server.deployment("d", server.pool("etl"))
    ours.attach("etl")
    run = server.flow_run(deployment)
    ours.tick()
    ours.deliver()
    with pytest.raises(Refused, match="1 runs of pool 'etl' are under way"):
        detach(ours.bridge, "etl")
    second = server.flow_run(deployment)
    ours.minute()
    assert ours.started(second) == 0, "no further one is started"
    ours.execute(run, state="", code=137)
    assert server.state(run)[0] == "CRASHED", "it is still ours to report"
    detach(ours.bridge, "etl")
    assert {r.state for r in ours.runs("etl")} == {RunState.FAILED}


def test_what_the_server_decides_is_not_changed_here(server: FakePrefect, ours: Bridged) -> None:
    server.pool("etl")
    ours.attach("etl")
    with pytest.raises(Refused, match="is attached to a Prefect server, which decides its limit"):
        change_pool(ours.ports, "etl", lambda pool: replace(pool, limit=3))
    with pytest.raises(Refused, match="its paused") as raised:
        delete_pool(ours.ports, "etl")
    assert raised.value.reason == "attached"
    kept = change_pool(ours.ports, "etl", lambda pool: replace(pool, hold_seconds=60))
    assert kept.hold_seconds == 60
    ours.tick(mirror_now=True)
    pool = ours.store.pool("etl")
    assert pool is not None
    assert pool.hold_seconds == 60, "what is ours stays"


def test_a_pool_that_no_function_serves_has_a_problem(server: FakePrefect, ours: Bridged) -> None:
    server.pool("etl")
    attachment = ours.attach("etl").attachment
    assert problem_of(attachment, START + 14 * 60_000) == ""
    assert "is the prefect function deployed" in problem_of(attachment, START + 15 * 60_000)
    server.down = True
    ours.tick()
    unreachable = attached(ours.ports, "etl")
    assert "cannot be reached" in problem_of(unreachable, START)


def test_a_pool_that_is_not_attached_cannot_be_detached(ours: Bridged) -> None:
    with pytest.raises(NotFound, match="'etl' is not attached"):
        detach(ours.bridge, "etl")
