"""When does a process leave a pool to the stream?"""

from __future__ import annotations

from push_dispatch.ports.eager import Eager


def test_once_within_the_streams_delay() -> None:
    eager = Eager()
    assert [eager.may_try("a", now) for now in (0, 100, 249, 250, 300)] == [True, 0, 0, True, 0]
    assert eager.may_try("b", 300)


def test_a_busy_pool_is_left_for_two_seconds() -> None:
    eager = Eager()
    assert eager.may_try("a", 0)
    eager.leave("a", 10)
    assert [eager.may_try("a", now) for now in (11, 2009, 2010)] == [False, False, True]


def test_a_clock_that_is_set_back_is_not_waited_for() -> None:
    eager = Eager()
    eager.leave("a", 1_000_000)
    assert eager.may_try("a", 10)


def test_it_does_not_grow_for_good() -> None:
    eager = Eager()
    for number in range(3000):
        assert eager.may_try(f"pool-{number}", 0)
    assert len(eager._until) <= 1000
