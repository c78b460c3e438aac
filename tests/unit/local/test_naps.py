"""Does a timeout count what ran, and not a laptop's nap?"""

from __future__ import annotations

from pathlib import Path

import pytest

from push_dispatch.local.naps import Naps

START = 1_800_000_000_000
MINUTE = 60_000


class Clocks:
    """The wall clock, and the one that stands still while the machine sleeps."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 5000.0

    def run(self, milliseconds: int) -> None:
        self.wall += milliseconds
        self.monotonic += milliseconds / 1000

    def sleep(self, milliseconds: int) -> None:
        self.wall += milliseconds

    def naps(self, folder: Path) -> Naps:
        return Naps(folder / "naps.json", lambda: self.wall, lambda: self.monotonic)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_a_machine_that_is_awake_takes_no_naps(tmp_path: Path, clocks: Clocks) -> None:
    naps = clocks.naps(tmp_path)
    for _ in range(10):
        clocks.run(10 * MINUTE)
        assert naps.since(START) == 0


def test_a_nap_counts_for_what_began_before_it(tmp_path: Path, clocks: Clocks) -> None:
    naps = clocks.naps(tmp_path)
    clocks.run(MINUTE)
    clocks.sleep(15 * MINUTE)
    assert naps.since(START) == 15 * MINUTE
    clocks.run(MINUTE)
    assert naps.since(clocks.wall - MINUTE // 2) == 0, "it began after the nap"
    clocks.sleep(2 * MINUTE)
    assert naps.since(START) == 17 * MINUTE


def test_it_is_known_after_a_restart(tmp_path: Path, clocks: Clocks) -> None:
    before = clocks.naps(tmp_path)
    clocks.sleep(15 * MINUTE)
    before.since(START)
    clocks.run(MINUTE)
    assert clocks.naps(tmp_path).since(START) == 15 * MINUTE
    assert (tmp_path / "naps.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "[1]", '[["a", 2]]', "null"])
def test_a_file_that_is_damaged_is_none(tmp_path: Path, clocks: Clocks, content: str) -> None:
    (tmp_path / "naps.json").write_text(content)
    naps = clocks.naps(tmp_path)
    clocks.sleep(MINUTE)
    assert naps.since(START) == MINUTE


def test_a_clock_that_is_set_back_or_corrected_is_no_nap(tmp_path: Path, clocks: Clocks) -> None:
    naps = clocks.naps(tmp_path)
    clocks.sleep(-15 * MINUTE)
    assert naps.since(START - 60 * MINUTE) == 0
    for _ in range(100):
        clocks.sleep(900)
        naps.measure()
    assert naps.since(START - 60 * MINUTE) == 0
