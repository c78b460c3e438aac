"""Does the API show and change pools, queues and templates, and only from the version meant?"""

from __future__ import annotations

import pytest

from push_dispatch.api.v1 import TABLE
from push_dispatch.api.v1.document import document as openapi
from push_dispatch.platforms.templates import default_template
from tests.fakes.api_v1 import Api
from tests.fakes.world import World


@pytest.fixture
def api() -> Api:
    return Api(World())


def test_a_pool_is_created_with_its_defaults_and_replaced_as_a_whole(api: Api) -> None:
    got = api("PUT", "/pools/etl", {"type": "process", "limit": 4, "description": "nightly"})
    assert (got.status, got.headers["Location"]) == (201, "/v1/pools/etl")
    assert [queue["name"] for queue in got.json["queues"]] == ["default"]
    template = api("GET", "/pools/etl/template").json["base_job_template"]
    assert template == default_template("process")

    again = api("PUT", "/pools/etl", {"type": "process", "key_limit": 1})
    assert again.status == 200
    assert (again.json["limit"], again.json["key_limit"]) == (None, 1)
    assert again.json["description"] == ""
    assert again.headers["ETag"] != got.headers["ETag"]


def test_a_pool_that_exists_is_not_created_again_if_that_is_asked(api: Api) -> None:
    got = api("PUT", "/pools/p", {"type": "process"}, {"If-None-Match": "*"})
    assert (got.status, got.reason) == (409, "pool_exists")
    assert api("GET", "/pools/p").json["limit"] == 3


def test_a_pool_keeps_its_type(api: Api) -> None:
    got = api("PUT", "/pools/p", {"type": "ecs"})
    assert (got.status, got.reason) == (409, "pool_exists")


def test_a_pool_sets_defaults_of_its_templates_variables(api: Api) -> None:
    def default(name: str) -> object:
        template = api("GET", "/pools/c/template").json["base_job_template"]
        return template["variables"]["properties"][name].get("default")

    image = {"type": "docker", "job_variables": {"image": "etl:1"}}
    assert api("PUT", "/pools/c", image).status == 201
    assert default("image") == "etl:1"
    assert api("PATCH", "/pools/c", {"job_variables": {"env.A": "1"}}).status == 200
    assert (default("image"), default("env")) == ("etl:1", {"A": "1"})
    change = {"pool": {"job_variables": {"image": "etl:2"}}}
    assert api("POST", "/pools/c/change", change).status == 200
    assert default("image") == "etl:2"
    got = api("PATCH", "/pools/c", {"job_variables": {"imgae": "x"}})
    assert (got.status, got.reason) == (422, "invalid_variables")


def test_what_is_null_is_cleared_and_what_is_absent_stays(api: Api) -> None:
    rate = {"starts": 5, "period_seconds": 60}
    api("PATCH", "/pools/p", {"rate": rate, "give_up_seconds": 60, "secrets": ["db", "db"]})
    got = api("PATCH", "/pools/p", {"rate": None, "limit": None}).json
    assert (got["rate"], got["limit"]) == (None, None)
    assert (got["give_up_seconds"], got["secrets"]) == (60, ["db"])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_change_of_an_older_version_is_refused(api: Api, method: str) -> None:
    old = api("GET", "/pools/p").headers["ETag"]
    body = {"limit": 7} if method == "PATCH" else {"type": "process", "limit": 7}
    assert api("POST", "/pools/p/pause").status == 200
    got = api(method, "/pools/p", body, {"If-Match": old})
    assert (got.status, got.reason) == (412, "precondition_failed")
    assert api("GET", "/pools/p").json["limit"] == 3

    new = api("GET", "/pools/p").headers["ETag"]
    assert api(method, "/pools/p", body, {"If-Match": f'"x", {new}'}).status == 200
    assert api("GET", "/pools/p").json["limit"] == 7


def test_what_does_not_exist_matches_no_version(api: Api) -> None:
    got = api("PUT", "/pools/new", {"type": "process"}, {"If-Match": "*"})
    assert (got.status, got.reason) == (412, "precondition_failed")
    assert api("GET", "/pools/new").status == 404


def test_pools_are_paged_by_name(api: Api) -> None:
    for name in ("a", "b", "z"):
        api("PUT", f"/pools/{name}", {"type": "process"})
    first = api("GET", "/pools", limit=3).json
    assert [pool["name"] for pool in first["items"]] == ["a", "b", "p"]
    rest = api("GET", "/pools", limit=3, after=first["next"]).json
    assert [pool["name"] for pool in rest["items"]] == ["z"]
    assert rest["next"] is None


def test_a_queue_is_created_changed_paused_and_deleted(api: Api) -> None:
    got = api("PUT", "/pools/p/queues/fast", {"priority": 1, "limit": 2})
    assert got.status == 201
    order = [(q["name"], q["priority"]) for q in api("GET", "/pools/p/queues").json["items"]]
    assert order == [("fast", 1), ("default", 2)]
    assert api("PATCH", "/pools/p/queues/fast", {"limit": None}).json["limit"] is None
    assert api("POST", "/pools/p/queues/fast/pause").json["paused"] is True
    assert api("POST", "/pools/p/queues/fast/resume").json["paused"] is False
    run = api.submit(queue="fast", in_seconds=60)
    assert api("DELETE", "/pools/p/queues/fast").json == {"deleted": "fast", "runs": 1}
    assert api("GET", f"/pools/p/runs/{run}").json["queue"] == "default"
    assert api("GET", "/pools/p/queues/fast").reason == "queue_not_found"


def test_a_queue_of_an_older_version_is_not_changed(api: Api) -> None:
    old = api("GET", "/pools/p/queues/default").headers["ETag"]
    assert api("POST", "/pools/p/queues/default/pause").status == 200
    got = api("PATCH", "/pools/p/queues/default", {"limit": 1}, {"If-Match": old})
    assert got.reason == "precondition_failed"


def test_fallbacks_and_templates_are_kept_by_digest(api: Api) -> None:
    fallback = {"type": "docker", "base_job_template": default_template("docker")}
    body = {"type": "process", "fallbacks": [fallback]}
    got = api("PUT", "/pools/etl", body).json
    [kept] = got["fallbacks"]
    assert kept["type"] == "docker"
    assert api.world.ports.store.template("etl", kept["template"]) == default_template("docker")


def test_a_template_that_no_pool_can_have_changes_nothing(api: Api) -> None:
    before = api("GET", "/pools/p/template").json
    got = api("PUT", "/pools/p/template", {"base_job_template": {"variables": {}}})
    assert (got.status, got.reason) == (422, "invalid_template")
    assert api("GET", "/pools/p/template").json == before


def test_a_pool_with_waiting_runs_is_deleted_by_force_only(api: Api) -> None:
    api.submit(in_seconds=60)
    assert api("DELETE", "/pools/p").reason == "pool_not_empty"
    assert api("DELETE", "/pools/p", force=True).json == {"deleted": "p", "runs": 1}
    assert api("GET", "/pools/p").status == 404


def test_what_is_simulated_is_not_applied(api: Api) -> None:
    for _ in range(12):
        api.submit()
    api.world.deliver_all()
    change = {"pool": {"limit": 1}, "queues": {"default": {"limit": 1}}}
    got = api("POST", "/pools/p/simulate", {"change": change, "hours": 1}).json
    assert max(got["now"]["occupancy"]["queues"]["default"]) == 3
    later = [start["start"] for start in got["changed"]["starts"]]
    sooner = [start["start"] for start in got["now"]["starts"]]
    assert len(later) == len(sooner) == 9
    assert later[-1] > sooner[-1]
    assert api("GET", "/pools/p").json["limit"] == 3


def test_a_pool_that_would_start_nothing_is_simulated_too(api: Api) -> None:
    api.submit()
    api.world.deliver_changes(10)
    got = api("POST", "/pools/p/simulate", {"change": {"pool": {"paused": True}}}).json
    assert all(report["runs"] == report["never_started"] for report in got["changed"]["reports"])


def test_a_load_is_simulated(api: Api) -> None:
    load = [{"count": 10, "duration": 60}]
    got = api("POST", "/pools/p/simulate", {"load": load, "hours": 1}).json
    [whole, queue] = got["now"]["reports"]
    assert (whole["queue"], queue["queue"]) == ("*", "default")
    assert (whole["runs"], whole["occupancy_max"], whole["wait_max"]) == (10, 3, 180.0)


def test_a_change_of_an_unknown_queue_is_not_simulated(api: Api) -> None:
    got = api("POST", "/pools/p/simulate", {"change": {"queues": {"gone": {"limit": 1}}}})
    assert got.reason == "queue_not_found"


def test_a_document_is_planned_and_applied(api: Api) -> None:
    document = {
        "pools": {"p": {"type": "process", "limit": 9}, "q": {"type": "process"}},
        "deployments": {"d": {"pool": "q", "command": "true"}},
    }
    plan = api("POST", "/apply", {"document": document, "dry_run": True}).json
    assert plan["applied"] is False
    assert api("GET", "/pools/q").status == 404
    done = api("POST", "/apply", {"document": document}).json
    assert [step["name"] for step in done["steps"]] == [step["name"] for step in plan["steps"]]
    assert api("GET", "/pools/p").json["limit"] == 9
    assert api("POST", "/apply", {"document": document}).json["steps"] == []


@pytest.mark.parametrize("where", ["pool", "fallback"])
def test_a_document_names_no_file_of_the_server(api: Api, where: str) -> None:
    named = {"type": "process", "base_job_template": "/etc/passwd"}
    pool = named if where == "pool" else {"type": "process", "fallbacks": [named]}
    got = api("POST", "/apply", {"document": {"pools": {"q": pool}}})
    assert (got.status, got.reason) == (422, "invalid_input")
    assert "not a file" in got.json["detail"]


def test_the_document_names_every_type_once_and_every_route() -> None:
    """Types of the same name would get names that no generator can use."""
    document = openapi()
    assert not [name for name in document["components"]["schemas"] if "." in name]
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == {(route.method, route.path) for route in TABLE.routes}
    names = [route.name for route in TABLE.routes]
    assert len(names) == len(set(names))


def test_a_submission_beyond_max_waiting_is_refused_with_its_number(api: Api) -> None:
    got = api("PATCH", "/pools/p", {"limit": 0, "key_max_waiting": 3})
    assert got.json["key_max_waiting"] == 3
    got = api("PATCH", "/pools/p/queues/default", {"max_waiting": 1})
    assert got.json["max_waiting"] == 1
    body = {"job_variables": {"command": "true"}}
    assert api("POST", "/pools/p/runs", body).status == 201
    got = api("POST", "/pools/p/runs", body)
    assert (got.status, got.reason) == (409, "too_many_waiting")
    assert "1 runs of queue 'default' wait" in got.json["detail"]
    got = api("PUT", "/pools/p", {"type": "process", "key_max_waiting": 10_001})
    assert got.status in (400, 422)


def test_a_rate_is_written_as_on_the_command_line(api: Api) -> None:
    limits = {"tenant": {"key": "{{ parameters.t }}", "rate": "1/m"}}
    got = api("PATCH", "/pools/p", {"rate": "100/h", "platform_rate": "5/10s", "limits": limits})
    assert got.json["rate"] == {"starts": 100, "period_seconds": 3600}
    assert got.json["platform_rate"] == {"starts": 5, "period_seconds": 10}
    assert got.json["limits"][0]["rate"] == {"starts": 1, "period_seconds": 60}
    for wrong in ("100", "0/h", "1/hm", "1/", "often"):
        assert api("PATCH", "/pools/p", {"rate": wrong}).status == 400, wrong
    for wrong in ("9999/1s", "1/32d"):  # as in numbers, what fits the schema is refused with 422
        assert api("PATCH", "/pools/p", {"rate": wrong}).status == 422, wrong
        assert api("PUT", "/pools/p/queues/q", {"rate": wrong}).status == 422, wrong
        limits = {"tenant": {"rate": wrong}}
        assert api("PATCH", "/pools/p", {"limits": limits}).status == 422, wrong
