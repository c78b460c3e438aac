"""Does docs/guides/operations.md say what the default stack costs when nothing runs?

Whoever adds a queue that invokes a function, or an alarm, adds to every bill.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.infra.tools.cfn import Template, sam_template

PAGE = Path(__file__).parents[2] / "docs/guides/operations.md"
#: Lambda polls with five pollers that wait 20 seconds each; a month has 30 days.
POLLS = 5 * 3 * 60 * 24 * 30
#: US dollars in us-east-1, and what is free for every account.
REQUEST, FREE_REQUESTS = 0.40 / 1_000_000, 1_000_000
ALARM, FREE_ALARMS = 0.10, 10


def test_the_page_counts_what_is_polled_and_watched() -> None:
    resources = list(Template(sam_template(), {}).resources())
    polled = sum(
        event["Type"] == "SQS"
        for _, kind, given in resources
        if kind == "AWS::Serverless::Function"
        for event in given.get("Events", {}).values()
    )
    alarms = sum(kind == "AWS::CloudWatch::Alarm" for _, kind, _ in resources)
    polls = polled * POLLS
    rows = {
        f"SQS: Lambda polls the {polled} queues that invoke functions": (
            polls * REQUEST,
            max(0, polls - FREE_REQUESTS) * REQUEST,
        ),
        f"{alarms} alarms": (alarms * ALARM, max(0, alarms - FREE_ALARMS) * ALARM),
    }
    page = PAGE.read_text()
    assert f"{polls:,} requests" in page
    for what, (listed, left) in rows.items():
        row = rf"\| {what} \|[^|]*\| {listed:.2f} \|[^|]*\| {left:.2f} \|"
        assert re.search(row, page), (
            f"docs/guides/operations.md: | {what} | … | {listed:.2f} | … | {left:.2f} |"
        )


def test_the_sum_is_that_of_its_rows() -> None:
    section = PAGE.read_text().partition("### When nothing runs")[2]
    rows = re.findall(r"^\| .*\| ([\d.]+) \|[^|]*\| ([\d.]+) \|$", section, re.MULTILINE)
    [total] = re.findall(
        r"\| \*\*in all\*\* \| \| \*\*([\d.]+)\*\* \| \| \*\*([\d.]+)\*\* \|", section
    )
    for column in (0, 1):
        assert f"{sum(float(row[column]) for row in rows):.2f}" == total[column]
