"""Does the API submit, list, follow, stop and retry runs?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.insight import selection
from tests.fakes.api_v1 import Api
from tests.fakes.world import World


@pytest.fixture
def api() -> Api:
    return Api(World())


def finished(api: Api, exit_code: int = 0, **document: Any) -> str:
    """The id of a run that has ended."""
    run = api.submit(**document)
    world = api.world
    world.deliver_all()
    world.deliver_all()
    [container] = [c for c in world.platform.live() if c.job.run_id == run]
    world.platform.begin(container)
    world.deliver_all()
    world.now += 1000
    world.platform.end(container, exit_code)
    world.drain()
    return run


def test_a_run_is_submitted_and_shown_under_either_id(api: Api) -> None:
    got = api("POST", "/pools/p/runs", {"job_variables": {"command": "true"}, "tags": ["a"]})
    run = got.json["run"]["id"]
    assert (got.status, got.headers["Location"]) == (201, f"/v1/pools/p/runs/{run}")
    uuid = run.removeprefix("p.")
    assert api("GET", f"/pools/p/runs/{uuid}").json == api("GET", f"/pools/p/runs/{run}").json
    assert api("GET", f"/pools/q/runs/{run}").reason == "run_not_found"


@pytest.mark.parametrize("where", ["header", "body"])
def test_a_key_makes_one_run_and_another_request_with_it_is_an_error(api: Api, where: str) -> None:
    def submit(**document: Any) -> Any:
        headers = {"Idempotency-Key": "k"} if where == "header" else {}
        body = document if where == "header" else {**document, "idempotency_key": "k"}
        return api("POST", "/pools/p/runs", body, headers)

    first = submit(job_variables={"command": "true"})
    again = submit(job_variables={"command": "true"})
    assert (first.status, again.status) == (201, 200)
    assert again.json["run"]["id"] == first.json["run"]["id"]
    other = submit(job_variables={"command": "false"})
    assert (other.status, other.reason) == (422, "idempotency_key_reused")
    assert "command" in other.json["detail"]
    assert len(api("GET", "/pools/p/runs").json["items"]) == 1


def test_a_batch_is_stored_as_a_whole_or_not_at_all(api: Api) -> None:
    good = {"job_variables": {"command": "true"}}
    bad = {"job_variables": {"nonsense": 1}}
    got = api("POST", "/pools/p/runs/batch", {"runs": [good, bad]})
    assert (got.status, got.reason) == (422, "invalid_variables")
    assert api("GET", "/pools/p/runs").json["items"] == []
    key = {"Idempotency-Key": "k"}
    first = api("POST", "/pools/p/runs/batch", {"runs": [good, good]}, key).json["items"]
    again = api("POST", "/pools/p/runs/batch", {"runs": [good, good]}, key).json["items"]
    assert [each["created"] for each in first] == [True, True]
    assert [each["created"] for each in again] == [False, False]
    assert [each["run"]["id"] for each in first] == [each["run"]["id"] for each in again]
    other = api("POST", "/pools/p/runs/batch", {"runs": [{**good, "name": "x"}]}, key).json
    assert other["items"][0]["differs"] == ["name"]


def test_a_deployment_of_another_pool_is_refused(api: Api) -> None:
    api("PUT", "/pools/q", {"type": "process"})
    api("PUT", "/deployments/d", {"pool": "q", "command": "true"})
    got = api("POST", "/pools/p/runs", {"deployment": "d"})
    assert got.status == 422
    assert "POST /v1/pools/q/runs" in got.json["detail"]
    assert api("POST", "/pools/q/runs", {"deployment": "d"}).status == 201


def test_runs_are_listed_newest_first_page_by_page(api: Api) -> None:
    keyed = [api.submit(idempotency_key=str(n)) for n in range(3)]
    plain = [api.submit() for _ in range(5)]
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = api("GET", "/pools/p/runs", limit=2, after=after).json
        found += [run["id"] for run in page["items"]]
        after = page["next"]
    assert found[:5] == plain[::-1]
    assert sorted(found[5:]) == sorted(keyed)


def test_no_list_reads_more_than_a_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_READ", 3)
    for n in range(7):
        api.submit(name="wanted" if n == 0 else "other")
    pages = []
    after: str | None = ""
    while after is not None:
        page = api("GET", "/pools/p/runs", name="wanted", after=after).json
        pages.append(len(page["items"]))
        after = page["next"]
    assert pages == [0, 0, 1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"tag": "a"}, {"one", "two"}),
        ({"tag": "b"}, {"two"}),
        ({"name": "three"}, {"three"}),
        ({"queue": "default"}, {"one", "two", "three"}),
        ({"concurrency_key": "k"}, {"three"}),
        ({"state": ["CANCELLED"]}, {"one"}),
        ({"state": ["CANCELLED", "SCHEDULED"]}, {"one", "two", "three"}),
        ({"deployment": "d"}, set()),
        ({"submitted_from": "2027-01-15T08:00:01Z"}, {"three"}),
        ({"submitted_before": "2027-01-15T09:00:01+01:00"}, {"one", "two"}),
    ],
)
def test_runs_are_filtered(api: Api, query: dict[str, Any], expected: set[str]) -> None:
    one = api.submit(name="one", tags=["a"])
    api.submit(name="two", tags=["a", "b"])
    api.world.now += 1000
    api.submit(name="three", concurrency_key="k")
    api("POST", f"/pools/p/runs/{one}/cancel")
    found = api("GET", "/pools/p/runs", **query).json["items"]
    assert {run["name"] for run in found} == expected


def test_runs_are_cancelled_by_filter_after_a_dry_run(api: Api) -> None:
    runs = [api.submit(tags=["x"], in_seconds=60) for _ in range(3)]
    kept = api.submit(in_seconds=60)
    dry = api("POST", "/pools/p/runs/cancel", {"tag": "x", "dry_run": True}).json
    assert {run["id"] for run in dry["items"]} == set(runs)
    assert {run["state"] for run in dry["items"]} == {"SCHEDULED"}
    one = api("POST", "/pools/p/runs/cancel", {"ids": [runs[0]]}).json
    assert [run["id"] for run in one["items"]] == [runs[0]]
    done = api("POST", "/pools/p/runs/cancel", {"tag": "x"}).json
    assert {run["state"] for run in done["items"]} == {"CANCELLED"}
    assert len(done["items"]) == 2
    assert api("GET", f"/pools/p/runs/{kept}").json["state"] == "SCHEDULED"


def test_a_run_that_has_ended_is_retried_once(api: Api) -> None:
    run = finished(api, 1, tags=["a"], parameters={"n": 1})
    first = api("POST", f"/pools/p/runs/{run}/retry")
    again = api("POST", f"/pools/p/runs/{run}/retry")
    assert (first.status, again.status) == (201, 200)
    new = first.json["run"]
    assert new["id"] != run
    assert (new["tags"], new["parameters"], new["state"]) == (["a"], {"n": 1}, "SCHEDULED")
    assert again.json["run"]["id"] == new["id"]
    refused = api("POST", f"/pools/p/runs/{new['id']}/retry")
    assert (refused.status, refused.reason) == (409, "not_ended")


def test_runs_are_retried_by_filter(api: Api) -> None:
    failed = finished(api, 1)
    finished(api, 0)
    body = {"state": ["FAILED"], "dry_run": True}
    assert [r["id"] for r in api("POST", "/pools/p/runs/retry", body).json["items"]] == [failed]
    [new] = api("POST", "/pools/p/runs/retry", {"state": ["FAILED"]}).json["items"]
    assert new["state"] == "SCHEDULED"
    assert new["id"] != failed


def test_one_waits_for_the_end_or_for_news(api: Api) -> None:
    run = api.submit()
    before = api.world.now
    got = api("GET", f"/pools/p/runs/{run}", wait=5, revision=0)
    assert got.json["revision"] > 0
    assert api.world.now - before < 5000
    before = api.world.now
    got = api("GET", f"/pools/p/runs/{run}", wait=5)
    assert api.world.now - before == 5000
    assert got.json["state"] in ("PENDING", "RUNNING")
    api("POST", f"/pools/p/runs/{run}/cancel")
    api.world.drain()
    before = api.world.now
    got = api("GET", f"/pools/p/runs/{run}", wait=5, revision=got.json["revision"])
    assert (got.json["state"], api.world.now) == ("CANCELLED", before)


def test_a_run_is_explained_and_has_a_history(api: Api) -> None:
    api("POST", "/pools/p/pause")
    run = api.submit()
    assert api("GET", f"/pools/p/runs/{run}/explain").json["reason"] == "pool_paused"
    api("POST", "/pools/p/resume")
    ended = finished(api, 3)
    events = api("GET", f"/pools/p/runs/{ended}/events").json["items"]
    names = [event["event"] for event in events]
    assert names[:2] == ["submitted", "due"]
    assert names[-2:] == ["attempt ended", "failed"]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_what_would_be_sent_is_rendered(api: Api) -> None:
    got = api("POST", "/pools/p/render", {"job_variables": {"command": "true"}}).json
    assert got["configuration"]["command"] == "true"
    assert got["provenance"]["command"] == "run"
    assert api("GET", "/pools/p/runs").json["items"] == []


def test_a_log_is_read_part_by_part(api: Api) -> None:
    run = finished(api)
    uuid = run.removeprefix("p.")
    api.world.ports.store.keep_log("p", uuid, 1, "one\ntwo\nthree")
    part = api("GET", f"/pools/p/runs/{run}/logs", limit=2).json
    assert (part["lines"], part["after"], part["complete"]) == (["one", "two"], 2, False)
    rest = api("GET", f"/pools/p/runs/{run}/logs", after=2).json
    assert (rest["lines"], rest["after"], rest["complete"]) == (["three"], 3, True)
    missing = api("GET", f"/pools/p/runs/{run}/logs", attempt=9)
    assert (missing.status, missing.reason) == (422, "invalid_input")


def test_a_run_that_was_not_started_has_no_log_yet(api: Api) -> None:
    run = api.submit()
    got = api("GET", f"/pools/p/runs/{run}/logs").json
    assert got == {"attempt": None, "lines": [], "after": 0, "complete": False}


def test_a_waiting_run_is_served_first_or_waits_elsewhere(api: Api) -> None:
    api("POST", "/pools/p/pause")
    api("PUT", "/pools/p/queues/other", {})
    runs = [api.submit() for _ in range(3)]
    api.world.deliver_changes(10)
    assert api("POST", f"/pools/p/runs/{runs[2]}/boost").status == 200
    waiting = api("GET", "/pools/p/overview").json["waiting"]
    assert [run["id"] for run in waiting] == [runs[2], runs[0], runs[1]]
    moved = api("POST", f"/pools/p/runs/{runs[0]}/move", {"queue": "other"})
    assert moved.json["queue"] == "other"
    api("POST", f"/pools/p/runs/{runs[1]}/cancel")
    assert api("POST", f"/pools/p/runs/{runs[1]}/boost").reason == "not_waiting"


def test_json_schemas_idea_of_an_integer_is_taken(api: Api) -> None:
    body = b'{"retries": 2.0, "parameters": {"x": 2.0}, "job_variables": {"command": "true"}}'
    got = api("POST", "/pools/p/runs", body)
    assert got.json["run"]["retries"] == 2
    assert type(got.json["run"]["parameters"]["x"]) is float
    rate = b'{"rate": {"starts": 5.0, "period_seconds": 60.0}, "limit": 3.0}'
    assert api("PATCH", "/pools/p", rate).json["rate"] == {"starts": 5, "period_seconds": 60}
    assert api("PATCH", "/pools/p", {"limit": 2.5}).status == 400


def test_a_header_that_is_too_long_is_refused(api: Api) -> None:
    got = api("POST", "/pools/p/runs", {}, {"Idempotency-Key": "k" * 491})
    assert got.status == 400
