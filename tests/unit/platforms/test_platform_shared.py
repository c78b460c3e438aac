"""Do the helpers of all platforms keep what their docstrings promise?"""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from push_dispatch.core.errors import NoCapacity, Rejected, Throttled, Uncertain
from push_dispatch.platforms.base import Job, Observation, Status, Watched
from push_dispatch.platforms.shared import (
    building,
    lines,
    milliseconds,
    observe_each,
    parsed,
    place_in,
    secret_values,
    several,
    text_of,
    texts,
    uncertain,
    words,
)
from push_dispatch.ports.secrets import Secret


@pytest.mark.parametrize(
    "error",
    [
        KeyError("valueFrom"),
        TypeError("x"),
        ValueError("x"),
        AttributeError("x"),
        IndexError("x"),
        OverflowError("x"),
    ],
)
def test_whatever_is_raised_while_building_is_final(error: Exception) -> None:
    with pytest.raises(Rejected) as caught, building():
        raise error
    assert caught.value.reason == "template_invalid"


def test_our_own_errors_pass_while_building() -> None:
    with pytest.raises(NoCapacity), building():
        raise NoCapacity
    with pytest.raises(OSError, match="disk"), building():
        raise OSError("disk")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (None, []),
        ("", []),
        ("python 'a b' \"\"", ["python", "a b", ""]),
        (["a b", 1, True], ["a b", "1", "true"]),
    ],
)
def test_a_command_becomes_words(command: object, expected: list[str]) -> None:
    assert words(command) == expected


@pytest.mark.parametrize("command", ["--password=hunter2 it's", {"hunter2": 1}, 7])
def test_a_bad_command_is_named_and_never_quoted(command: object) -> None:
    with pytest.raises(Rejected, match="entrypoint") as caught:
        words(command, "entrypoint")
    assert "hunter2" not in caught.value.message
    assert caught.value.reason == "template_invalid"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("True", "True"),
        (True, "true"),
        (1.5, "1.5"),
        ({"b": 1, "a": "ä"}, '{"a": "ä", "b": 1}'),
        (["x", None], '["x", null]'),
    ],
)
def test_what_is_no_text_becomes_json(value: object, expected: str) -> None:
    assert text_of(value) == expected


def test_an_environment_leaves_out_what_is_null() -> None:
    assert texts({"A": None, "B": "", "C": False}) == {"B": "", "C": "false"}
    assert texts(None) == {}


@pytest.mark.parametrize("values", [["A=1"], "A=1", 3])
def test_an_environment_that_is_no_object_is_refused_by_name(values: object) -> None:
    with pytest.raises(Rejected, match="labels is not an object"):
        texts(values, "labels")


def test_a_secret_that_cannot_be_read_is_final() -> None:
    def fail() -> str:
        raise KeyError("PW")

    good, bad = Secret("PW", "", lambda: "x"), Secret("PW", "", fail)
    job = Job("n", "p.u", "p", "t", 1, {}, secrets={"A": good})
    assert secret_values(job) == {"A": "x"}
    with pytest.raises(Rejected) as caught:
        secret_values(Job("n", "p.u", "p", "t", 1, {}, secrets={"A": bad}))
    assert caught.value.reason == "secret_unavailable"


def test_a_refused_question_proves_nothing() -> None:
    throttled, doubt = Throttled(), Uncertain()
    assert uncertain(throttled) is throttled
    assert uncertain(doubt) is doubt
    refused = uncertain(Rejected("no", reason="access_denied"))
    assert (type(refused), refused.reason) == (Uncertain, "access_denied")


def test_several_run_at_once_and_come_in_order() -> None:
    together = threading.Barrier(3, timeout=60)

    def double(number: int) -> int:
        together.wait()
        return number * 2

    assert several(double, [1, 2, 3], at_once=3) == [2, 4, 6]
    assert several(str, []) == []


def test_each_attempt_is_observed_for_itself() -> None:
    def observe(watched: Watched, place: int) -> Observation:
        if place == 0:
            raise Throttled("later")
        return Observation(watched.run_id, watched.attempt, Status.RUNNING, watched.handle)

    jobs = [Watched(handle, "p.u", 1) for handle in ("1", "0", "x")]
    seen = observe_each(jobs, int, observe)
    assert [one.status for one in seen] == [Status.RUNNING, Status.UNKNOWN, Status.LOST]
    assert seen[1].message == "later"


def test_a_malformed_handle_is_lost_and_costs_only_itself() -> None:
    good, bad = Watched("1", "p.u", 1), Watched("x", "p.v", 2)
    found, missing = parsed([bad, good], int)
    assert found == [(good, 1)]
    assert [(one.run_id, one.status) for one in missing] == [("p.v", Status.LOST)]
    assert (place_in(int, "1"), place_in(int, "x")) == (1, None)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (None, None),
        ("", None),
        ("0001-01-01T00:00:00Z", None),
        ("2026-11-26T10:00:00Z", 1_795_687_200_000),
        ("2026-11-26T10:00:00", 1_795_687_200_000),
        ("2026-11-26T11:00:00.123456789+01:00", 1_795_687_200_123),
        (datetime(2026, 11, 26, 10, tzinfo=UTC), 1_795_687_200_000),
    ],
)
def test_times_are_epoch_milliseconds(time: datetime | str | None, expected: int | None) -> None:
    assert milliseconds(time) == expected


def test_lines_survive_where_chunks_are_cut() -> None:
    assert list(lines([b"a\nb", b"c\n\xff", b"\n", b"end"])) == ["a", "bc", "\ufffd", "end"]
