"""Is a load that cannot be played refused, with the entry that is wrong?"""

from __future__ import annotations

from typing import Any

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.insight.load import from_document_of_runs


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("abc", r"runs\[1\]: 'abc' is not an object"),
        (None, r"runs\[1\]: None is not an object"),
        ([], r"runs\[1\]: \[\] is not an object"),
        (7, r"runs\[1\]: 7 is not an object"),
        ({"att": 1}, r"runs\[1\]: unknown fields att"),
        ({7: 1}, r"runs\[1\]: unknown fields 7"),
        ({"at": "soon"}, r"runs\[1\]\.at: 'soon' is not a duration"),
        ({"at": float("nan")}, r"runs\[1\]\.at: nan is not a number"),
        ({"duration": -1}, r"runs\[1\]\.duration: -1 is not a number"),
        ({"count": 1.5}, r"runs\[1\]\.count: 1\.5 is not an integer"),
        ({"count": 10**9}, r"runs\[1\]\.count: 1000000000 is not an integer"),
        ({"queue": ["q"]}, r"runs\[1\]\.queue: \['q'\] is not text"),
    ],
)
def test_an_entry_that_cannot_be_played_is_named(entry: Any, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        from_document_of_runs({"runs": [{}, entry]})


def test_a_load_is_bounded_as_a_whole() -> None:
    with pytest.raises(Invalid, match="more than 1,000,000 runs"):
        from_document_of_runs({"runs": [{"count": 600_000}] * 2})


def test_seconds_become_milliseconds() -> None:
    runs = from_document_of_runs({"runs": [{"at": 1.5, "every": 2, "count": 2, "duration": 0}]})
    assert [(run.at, run.queue, run.duration) for run in runs] == [
        (1500, "default", 1),
        (3500, "default", 1),
    ]
