"""Does the dashboard, in a browser, show what the API says, and does what its buttons say happen?

Playwright is in an environment of its own (`make env-dashboard`); Chromium is the system's, or what
`playwright install chromium` has brought. `.ci/steps/64-dashboard.sh` sees to both.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.local import Cli, LocalUp, eventually

_ROOT = Path(__file__).parents[2]
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
site.addsitedir(str(_ROOT / ".envs" / "dashboard" / "lib" / _VERSION / "site-packages"))
playwright = pytest.importorskip("playwright.sync_api", reason="make env-dashboard")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="make env-dashboard")

# One system for all: each worker would start its own.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dashboard")]

PICTURES = _ROOT / "build" / "dashboard"
WIDTHS = {"wide": 1280, "narrow": 360}
#: What Chromium says of every answer that is no success; the page shows what it means.
_REFUSED = "Failed to load resource"


@dataclass
class System:
    """The API of a local runtime, and where the page is."""

    url: str
    token: str

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + "/v1" + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def submit(self, pool: str, runs: list[dict[str, Any]]) -> None:
        for start in range(0, len(runs), 200):
            self("POST", f"/pools/{pool}/runs/batch", {"runs": runs[start : start + 200]})


def _run(name: str, queue: str, seconds: float, code: int = 0) -> dict[str, Any]:
    command = f"sh -c 'echo begin {name}; sleep {seconds}; echo end; exit {code}'"
    return {"name": name, "queue": queue, "job_variables": {"command": command}}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """3 pools and 500 runs: some have ended, some run, most wait; one pool is paused."""
    cli = Cli(tmp_path_factory.mktemp("home"))
    with LocalUp(cli):
        [record] = cli.ok("local", "ls", "--json").json
        ask = System(record["api"], record["token"])
        ask("PUT", "/pools/etl", {"type": "process", "limit": 8})
        for name, priority, limit in (("critical", 1, 1), ("high", 5, 3), ("low", 10, None)):
            ask("PUT", f"/pools/etl/queues/{name}", {"priority": priority, "limit": limit})
        ask("PUT", "/pools/ml-gpu", {"type": "process", "limit": 60})
        ask("PUT", "/pools/reports", {"type": "process", "limit": 4, "paused": True})
        short = [
            _run(f"ingest-{n}", "high" if n % 3 else "critical", 0.5 + n % 4, int(n % 9 == 5))
            for n in range(18)
        ]
        ask.submit("etl", [*short, *(_run(f"backfill {n}", "low", 1 + n % 4) for n in range(12))])
        eventually(lambda: len(ask("GET", "/pools/etl/overview")["recent"]) == 30, seconds=120)
        ask.submit("etl", [_run("sync-orders", "critical", 900)] * 5)
        ask.submit("etl", [_run(f"daily-{n}", "high", 900) for n in range(15)])
        ask.submit("etl", [_run(f"backfill {n}", "low", 900) for n in range(12, 292)])
        ask.submit("ml-gpu", [_run(f"train {n}", "default", 900) for n in range(20)])
        ask.submit("reports", [_run(f"report {n}", "default", 9) for n in range(150)])
        eventually(lambda: ask("GET", "/pools/etl/overview")["slots_used"] == 8, seconds=60)
        yield ask


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    own = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as driver:
        try:
            found = driver.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser: {error.message.splitlines()[0]}")
        yield found
        found.close()


@dataclass
class Page:
    """One tab. `asked` are its requests of the API; `errors` is what its console said."""

    tab: Any
    system: System
    received: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    #: Whether answers that are no success belong to the test.
    refused: bool = False

    def __post_init__(self) -> None:
        self.tab.on("request", self._asked)
        self.tab.on("console", self._said)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, query: str = "?pool=etl", *, token: bool = True) -> None:
        self.tab.goto(f"{self.system.url}/{query}{f'#token={self.system.token}' if token else ''}")
        if token:
            self.tab.wait_for_selector("#pool:not([hidden]) .slot")

    def freeze(self) -> Any:
        """Let nothing move any more; return what is shown."""
        self.tab.keyboard.press("p")
        self.tab.wait_for_selector("#live[aria-pressed=false]")
        self.tab.wait_for_load_state("networkidle")
        return self.overview()

    def overview(self) -> Any:
        """The last answer that the page got."""
        return self.tab.evaluate("import('/state.js').then(state => state.S.data)")

    def sizes(self) -> list[int]:
        """The bytes of each overview that it got."""
        entries = "performance.getEntriesByType('resource').filter(e => /overview/.test(e.name))"
        found: list[int] = self.tab.evaluate(f"{entries}.map(e => e.encodedBodySize)")
        return found

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.tab.locator(selector).all_inner_texts()
        return found

    def _asked(self, request: Any) -> None:
        if "/v1/" in request.url:
            self.received.append(request.url)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and not (
            self.refused and message.text.startswith(_REFUSED)
        ):
            self.errors.append(message.text)


@pytest.fixture
def page(browser: Any, system: System) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    found = Page(context.new_page(), system)
    yield found
    context.close()
    assert found.errors == []


# -- what it shows ----------------------------------------------------------------------------


def test_every_panel_shows_what_the_api_says(page: Page) -> None:
    page.open()
    page.tab.wait_for_selector(
        "#line-rows .why .mut:not(:empty)"
    )  # The reasons' sentences are there.
    got = page.freeze()
    assert page.tab.locator("#slots .slot").count() == got["limit"] == 8
    held = page.tab.locator("#slots button.slot").evaluate_all("all => all.map(e => e.dataset.run)")
    assert sorted(held) == sorted(holder["id"] for holder in got["holders"])
    assert page.texts("#slots-sum") == ["8 of 8 held"]
    legend = page.texts("#legend li")
    assert [line.split()[0] for line in legend] == [queue["name"] for queue in got["queues"]]
    assert "3 of 3 · priority 5 · 12 wait" in legend[2]
    rows = [row.split("\t") for row in page.texts("#line-rows tr")]
    assert [row[0] for row in rows] == [str(run["place"]) for run in got["waiting"][: len(rows)]]
    for row, run in zip(rows, got["waiting"], strict=False):
        assert run["id"][-6:] in row[1]
        assert (row[2], row[3].split()[0]) == (run["queue"], run["reason"])
    assert page.texts("#line-sum")[0].startswith(f"{got['waiting_total']} waiting")
    assert page.texts("#minutes [aria-pressed=true]") == ["15 min"], "an hour would be empty"
    bars = [int(text or 0) for text in page.texts("#waits b")]
    assert bars == got["waits"]["counts"]
    assert page.tab.locator("#occ svg").get_attribute("aria-label").startswith("Slots held")
    assert page.tab.locator("#occ path.area.past").count() == 3


def test_recent_runs_are_drawn_with_how_they_ended(page: Page) -> None:
    page.open()
    page.tab.get_by_role("button", name="Show").last.click()
    got = page.freeze()
    rows = page.tab.locator("#gantt .run")
    labels = rows.evaluate_all("all => all.map(e => [e.dataset.run, e.ariaLabel])")
    assert [run for run, _ in labels] == [
        run["id"] for run in [*got["holders"], *got["recent"]][: len(labels)]
    ]
    states = dict(labels)
    for run in got["recent"]:
        assert run["state"] in states[run["id"]]
    marks = [mark for mark in page.texts("#gantt .mark") if mark]
    assert marks.count("✕") == sum(run["state"] == "FAILED" for run in got["recent"]) == 2


def test_pools_are_a_click_or_a_key_away(page: Page) -> None:
    page.open()
    assert page.texts("#pools a") == ["etl8/8", "ml-gpu20/60", "reportspaused"]
    page.tab.keyboard.press("3")
    page.tab.wait_for_selector("#paused:not([hidden])")
    assert "push-dispatch pool resume reports" in page.texts("#paused")[0]
    assert "pool=reports" in page.tab.url
    page.tab.click("#pools a >> nth=1")
    page.tab.locator("#slots .slot").nth(59).wait_for()
    page.tab.go_back()
    page.tab.wait_for_selector("#paused:not([hidden])")


def test_a_refresh_is_one_small_request(page: Page) -> None:
    page.open()
    page.tab.wait_for_selector("#line-rows .why .mut:not(:empty)")
    page.received.clear()
    with page.tab.expect_response("**/overview*"), page.tab.expect_response("**/overview*"):
        pass
    page.freeze()
    assert all("/v1/pools/etl/overview" in url for url in page.received)
    assert 0 < max(page.sizes()) < 50_000
    _keep_figures(page)


def test_a_hidden_page_asks_for_nothing_until_it_is_seen(page: Page) -> None:
    page.tab.clock.install()
    page.open()
    page.tab.evaluate("Object.defineProperty(document, 'hidden', {value: true, writable: true})")
    page.tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.tab.wait_for_load_state("networkidle")
    page.received.clear()
    page.tab.clock.run_for(60_000)
    page.tab.wait_for_load_state("networkidle")
    assert page.received == []
    with page.tab.expect_response("**/overview*"):
        page.tab.evaluate(
            "document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))"
        )


# -- what it does -----------------------------------------------------------------------------


def test_a_run_that_waits_is_cancelled(page: Page) -> None:
    page.open()
    button = page.tab.locator("#line-rows button").nth(4)
    run = button.get_attribute("data-run")
    button.click()
    page.tab.wait_for_selector("#d-cancel")
    assert f"push-dispatch run cancel {run}" in page.texts("#d-act")[0]
    assert "pool_limit" in page.texts("#d-why")[0] or "queue_limit" in page.texts("#d-why")[0]
    page.tab.click("#d-cancel")
    page.tab.click("#d-yes")
    page.tab.wait_for_selector("#d-retry")
    assert page.system("GET", f"/pools/etl/runs/{run}")["state"] == "CANCELLED"


def test_a_run_that_has_failed_is_retried(page: Page) -> None:
    page.open("?pool=etl&minutes=1440")
    failed = next(r for r in page.overview()["recent"] if r["state"] == "FAILED")
    page.tab.fill("#find-run", failed["id"][-8:])
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("#d-retry")
    assert f"push-dispatch run retry {failed['id']}" in page.texts("#d-act")[0]
    page.tab.click("#d-retry")
    page.tab.wait_for_selector("#d-cancel")
    new = page.texts("aside > .cmd code")[0]
    assert new != failed["id"]
    assert page.system("GET", f"/pools/etl/runs/{new}")["name"] == failed["name"]


def test_the_drawer_shows_history_request_and_log(page: Page) -> None:
    page.open("?pool=etl&minutes=1440")
    done = next(r for r in page.overview()["recent"] if r["state"] == "COMPLETED")
    page.tab.goto(f"{page.system.url}/?pool=etl&run={done['id']}")
    page.tab.wait_for_selector(".events li")
    events = page.system("GET", f"/pools/etl/runs/{done['id']}/events")["items"]
    shown = page.texts(".events b")
    assert shown == [event["event"] for event in events]
    page.tab.click("#tab-request")
    page.tab.wait_for_selector("dl.request")
    rendered = page.system("GET", f"/pools/etl/runs/{done['id']}/render")
    request = page.texts("dl.request")[0]
    assert rendered["configuration"]["command"] in request
    assert "run" in request
    page.tab.keyboard.press("ArrowRight")
    page.tab.wait_for_selector(".log")
    assert page.texts(".log")[0].splitlines() == [f"begin {done['name']}", "end"]
    assert "tab=logs" in page.tab.url
    page.tab.reload()
    page.tab.wait_for_selector(".log")
    assert page.tab.get_attribute("#tab-logs", "aria-selected") == "true"


def test_a_limit_and_a_priority_are_tried_and_applied(page: Page) -> None:
    page.open("?pool=etl&whatif=1")
    page.tab.wait_for_selector("#what-res table")
    with page.tab.expect_request(_tries_a_priority) as received:
        page.tab.fill("input[type=number][aria-label='Pool limit']", "10")
        page.tab.fill("[aria-label='Limit of low']", "5")
        page.tab.fill("[aria-label='Priority of low']", "4")
    sent = received.value.post_data_json["change"]
    assert sent == {"pool": {"limit": 10}, "queues": {"low": {"limit": 5, "priority": 4}}}
    page.tab.wait_for_selector("#occ line.tried", state="attached")
    commands = page.texts("#what-act .cmd code")
    assert commands == [
        "push-dispatch pool set-limit etl 10",
        "push-dispatch queue set-limit low 5 --pool etl",
        "push-dispatch queue update low --priority 4 --pool etl",
    ]
    assert page.system("GET", "/pools/etl")["limit"] == 8
    page.tab.click("#what-apply")
    page.tab.wait_for_selector("#what-apply", state="detached")
    pool = page.system("GET", "/pools/etl")
    low = next(queue for queue in pool["queues"] if queue["name"] == "low")
    assert (pool["limit"], low["limit"], low["priority"]) == (10, 5, 4)
    page.tab.locator("#slots .slot").nth(9).wait_for()


def test_what_was_changed_meanwhile_is_not_overwritten(page: Page) -> None:
    page.refused = True
    page.open("?pool=ml-gpu&whatif=1")
    page.tab.wait_for_selector("#what-act")
    version = page.freeze()["version"]
    page.system("PATCH", "/pools/ml-gpu", {"description": f"someone has changed {version}"})
    page.tab.fill("input[type=number][aria-label='Pool limit']", "61")
    page.tab.click("#what-apply")
    page.tab.wait_for_selector(".problem")
    assert "precondition_failed" in page.texts(".problem")[0]
    assert page.system("GET", "/pools/ml-gpu")["limit"] == 60


# -- by keyboard, for everybody, and when something is wrong ----------------------------------


def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    page.open()
    press = page.tab.keyboard.press
    press("j")
    press("j")
    focused = page.tab.evaluate("document.activeElement.dataset.run")
    press("Enter")
    page.tab.wait_for_selector(".events li")
    assert f"run={focused}" in page.tab.url
    press("Escape")
    page.tab.wait_for_selector("aside", state="hidden")
    assert page.tab.evaluate("document.activeElement.dataset.run") == focused
    press("/")
    assert page.tab.evaluate("document.activeElement.id") == "find-run"
    press("Escape")
    press("t")
    assert page.tab.evaluate("document.documentElement.dataset.theme") == "dark"
    press("?")
    page.tab.wait_for_selector("#help[open]")


def test_without_a_token_it_says_what_to_type(page: Page) -> None:
    page.refused = True
    page.open(token=False)
    page.tab.wait_for_selector("#empty:not([hidden])")
    assert "push-dispatch dashboard" in page.texts("#empty")[0]


def test_the_token_does_not_stay_in_the_address(page: Page) -> None:
    page.open()
    assert "token" not in page.tab.url
    assert all("token" not in url for url in page.received)


def test_what_is_not_there_is_a_problem_with_a_remedy(page: Page) -> None:
    page.refused = True
    page.tab.goto(f"{page.system.url}/?pool=gone#token={page.system.token}")
    page.tab.wait_for_selector("#problem .problem")
    assert "pool_not_found" in page.texts("#problem")[0]
    assert page.texts("#problem .remedy")[0]
    page.tab.click("#pools a >> nth=0")
    page.tab.wait_for_selector("#problem", state="hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_accessible_and_fits(browser: Any, system: System, scheme: str, width: str) -> None:
    size = {"width": WIDTHS[width], "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page = Page(context.new_page(), system)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, query in (
        ("pool", "?pool=etl"),
        ("what-if", "?pool=etl&whatif=1"),
        ("many-slots", "?pool=ml-gpu"),
        ("paused", "?pool=reports"),
    ):
        page.open(query)
        page.tab.wait_for_load_state("networkidle")
        if name == "what-if":
            page.tab.wait_for_selector("#occ path.future")
        page.tab.screenshot(path=PICTURES / f"{name}-{scheme}-{width}.png", full_page=True)
        _hold_to_axe(page)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= size["width"], name
        drawn = page.tab.locator("#occ svg").get_attribute("width")
        assert float(drawn) == page.tab.locator("#occ").evaluate(
            "e => Math.max(240, e.clientWidth)"
        )
    run = page.system("GET", "/pools/etl/overview")["recent"][0]["id"]
    page.tab.goto(f"{system.url}/?pool=etl&run={run}")
    page.tab.wait_for_selector(".events li")
    page.tab.screenshot(path=PICTURES / f"run-{scheme}-{width}.png")
    _hold_to_axe(page)
    context.close()
    assert page.errors == []


def _tries_a_priority(request: Any) -> bool:
    return "/simulate" in request.url and "priority" in str(request.post_data)


def _hold_to_axe(page: Page) -> None:
    found = axe.Axe().run(page.tab).response["violations"]
    wrong = [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found]
    assert wrong == []


def _keep_figures(page: Page) -> None:
    """How fast and how big it was: to read, as a busy machine would make a test of it fail."""
    entry = "performance.getEntriesByType('navigation')[0]"
    figures = {
        "overview_bytes": page.sizes(),
        "loaded_ms": page.tab.evaluate(f"{entry}.loadEventEnd"),
        "ready_ms": page.tab.evaluate("performance.getEntriesByName('ready')[0].startTime"),
    }
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "figures.json").write_text(json.dumps(figures, indent=2))
