"""Is the dashboard a small set of files that load nothing from elsewhere?"""

from __future__ import annotations

import gzip
import re
from importlib.resources import files

import pytest

from push_dispatch.api.dashboard import FILES, address, page
from push_dispatch.api.dashboard.forward import forwarding
from push_dispatch.api.v1 import Reply, Request
from push_dispatch.core.errors import Unavailable
from push_dispatch.core.reasons import Reason
from tests.fakes.api_v1 import Api
from tests.fakes.world import World

BODIES = {path: reply.body for path in FILES if (reply := page(path)) is not None}


def test_it_is_small_enough_for_one_breath() -> None:
    size = sum(len(gzip.compress(body)) for body in BODIES.values())
    assert size < 60_000, f"{size} B gzipped"


def test_every_file_of_the_folder_is_served() -> None:
    folder = files("push_dispatch.api.dashboard")
    there = {
        each.name for each in folder.iterdir() if each.name.endswith(("html", "js", "css", "svg"))
    }
    assert there == set(FILES.values())


@pytest.mark.parametrize("path", ["", "/index.html", "/../__init__.py", "/v1/pools", "/app.js.map"])
def test_nothing_else_is_served(path: str) -> None:
    assert page(path) is None


def test_a_browser_executes_nothing_but_its_own_files() -> None:
    reply = page("/")
    assert reply is not None
    policy = reply.headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert "unsafe" not in policy
    assert (rules["default-src"], rules["script-src"]) == ("'none'", "'self'")
    assert rules["frame-ancestors"] == "'none'"
    assert reply.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", FILES)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(path: str) -> None:
    text = BODIES[path].decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=\"|<style", text)
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/)[\w.]+\.\w+/", text)
    assert "innerHTML" not in text  # Names of runs are other people's text.


def test_what_a_page_names_exists() -> None:
    text = BODIES["/"].decode()
    assert set(re.findall(r'(?:src|href)="(/[^"]*)"', text)) <= set(FILES)
    for path, body in BODIES.items():
        imported = re.findall(r"from '\./([\w.]+)'", body.decode())
        assert {f"/{name}" for name in imported} <= set(FILES), path


def test_the_token_is_in_the_part_of_the_address_that_no_server_gets() -> None:
    assert address("http://127.0.0.1:1", "t") == "http://127.0.0.1:1/#token=t"


# -- for a deployed system --------------------------------------------------------------------


class Far:
    """A transport that answers with what a test wants, and remembers what it was sent."""

    def __init__(self, status: int = 200, value: object = None, down: str = "") -> None:
        self.answer = (status, value)
        self.down = down
        self.sent: list[tuple[object, ...]] = []

    def send(self, *request: object) -> tuple[int, object]:
        self.sent.append(request)
        if self.down:
            raise Unavailable(self.down)
        return self.answer


def ask(far: Far, body: bytes = b"", **headers: str) -> Reply:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request("POST", "/v1/pools/a%20b/change", {"q": ("1",)}, given, body)
    return forwarding(far)(request)


def test_a_request_is_passed_on_without_the_token_of_the_page() -> None:
    far = Far(200, {"limit": 3})
    got = ask(far, b'{"pool":{}}', authorization="Bearer t", cookie="c", if_match='"7"')
    assert got.json == {"limit": 3}
    [sent] = far.sent
    assert sent == (
        "POST",
        "/v1/pools/a%20b/change",
        {"q": ("1",)},
        {"pool": {}},
        {"if-match": '"7"'},
    )


def test_a_problem_of_the_api_is_passed_on_as_it_is() -> None:
    problem = {"reason": "precondition_failed", "detail": "d", "remedy": "r"}
    got = ask(Far(412, problem))
    assert (got.status, got.json, got.type) == (412, problem, "application/problem+json")


@pytest.mark.parametrize(
    ("far", "status", "reason", "words"),
    [
        (Far(403, {"Message": "Forbidden"}), 403, Reason.ACCESS_DENIED, "lambda:InvokeFunctionUrl"),
        (Far(502, None), 502, Reason.BACKEND_UNAVAILABLE, "502"),
        (Far(down="no route"), 503, Reason.BACKEND_UNAVAILABLE, "no route"),
    ],
)
def test_what_stands_in_front_of_the_api_is_explained(
    far: Far, status: int, reason: str, words: str
) -> None:
    got = ask(far)
    assert (got.status, got.json["reason"]) == (status, reason)
    assert words in got.json["detail"]
    assert got.json["remedy"]


def test_a_body_that_is_no_json_is_not_passed_on() -> None:
    far = Far()
    assert (ask(far, b"{").status, far.sent) == (400, [])


# -- what the page needs of the API -----------------------------------------------------------


@pytest.fixture
def api() -> Api:
    return Api(World())


def test_what_was_simulated_is_applied_at_once(api: Api) -> None:
    api("PUT", "/pools/p/queues/low", {"priority": 5})
    before = api("GET", "/pools/p")
    change = {"pool": {"limit": 7}, "queues": {"low": {"priority": 1, "limit": 2}}}
    assert api("POST", "/pools/p/simulate", {"change": change}).status == 200
    headers = {"If-Match": before.headers["ETag"]}
    got = api("POST", "/pools/p/change", change, headers)
    low = got.json["queues"][0]
    assert (got.json["limit"], low["name"], low["priority"], low["limit"]) == (7, "low", 1, 2)
    assert got.headers["ETag"] != before.headers["ETag"]
    again = api("POST", "/pools/p/change", change, headers)
    assert (again.status, again.reason) == (412, "precondition_failed")


def test_a_change_with_a_fault_changes_nothing(api: Api) -> None:
    change = {"pool": {"limit": 7}, "queues": {"gone": {"limit": 2}}}
    assert api("POST", "/pools/p/change", change).reason == "queue_not_found"
    assert api("GET", "/pools/p").json["limit"] == 3


def test_what_is_sent_for_a_run_is_shown_before_and_after_it_is_sent(api: Api) -> None:
    run = api.submit(job_variables={"command": "echo one"})
    before = api("GET", f"/pools/p/runs/{run}/render").json
    api.world.deliver_all()
    after = api("GET", f"/pools/p/runs/{run}/render").json
    assert before["configuration"]["command"] == after["configuration"]["command"] == "echo one"
    assert after["provenance"]["command"] == "run"


def test_a_run_shows_the_template_of_its_attempt_and_not_a_later_one(api: Api) -> None:
    run = api.submit()
    api.world.deliver_all()
    template = api("GET", "/pools/p/template").json["base_job_template"]
    template["job_configuration"]["working_dir"] = "/later"
    api("PUT", "/pools/p/template", {"base_job_template": template})
    shown = api("GET", f"/pools/p/runs/{run}/render").json["configuration"]
    assert shown.get("working_dir") != "/later"
