from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.bridged import Bridged, Clock
from tests.fakes.prefect import FakePrefect


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[FakePrefect]:
    with FakePrefect(clock) as started:
        yield started


@pytest.fixture
def ours(server: FakePrefect, clock: Clock) -> Bridged:
    return Bridged(server, clock)
