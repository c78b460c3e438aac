"""What does one run ask of AWS, call by call? Counted on the client, on a table of moto's.

`tests/integration/test_cost.py` holds docs/reference/cost.md to the same figures.
"""

from __future__ import annotations

from tests.fakes.lives import lives_of

__all__ = ["main"]

#: Of one run at idle: calls, write units, read units.
MARK = (12, 6, 7)
MARK_TEN = 4.3
#: Write units of a run, one a commit, by the slots that its pool holds.
MARK_HELD = {1000: 15, 5000: 25}
#: How much more a run may cost at 1,000 slots than at 10.
MARK_FLAT = 1.3
#: Runs by slots: some bases of the ledger are written meanwhile.
_HELD = {10: 5, 100: 40, 1000: 80, 5000: 140}


def main() -> None:
    """Print the calls of one run at idle, and the units of runs that share commits: where the
    stream carries everything to dispatch, and where whoever stores something dispatches at once."""
    for eager in (False, True):
        print("eager" if eager else "by the stream")
        _one_run(eager=eager)
    _many_slots()


def _one_run(*, eager: bool) -> None:
    with lives_of(eager=eager) as start:
        start("warm").steps(1)
        life = start("etl")
        steps = life.steps(1)
        for (name, step), log in zip(steps.items(), life.logs, strict=True):
            print(f"{name:32} {step[0]:3} calls {step[1]:3} WU {step[2]:5.1f} RU")
            for call in log:
                print(f"    {call}")
        total = [sum(column) for column in zip(*steps.values(), strict=True)]
        print(f"{'in all':32} {total[0]:3} calls {total[1]:3} WU {total[2]:5.1f} RU")
        print(f"{'mark':32} {MARK[0]:3} calls {MARK[1]:3} WU {MARK[2]:5.1f} RU")
        # What follows within the stream's delay is left to the stream.
        for count in () if eager else (10, 100):
            calls, writes, reads = map(
                sum, zip(*start(f"k{count}").steps(count).values(), strict=True)
            )
            shares = f"{writes / count:.2f} WU, {reads / count:.2f} RU, {calls / count:.2f} calls"
            print(f"k = {count:3}: {shares} a run")
        if not eager:
            print(f"mark for k = 10: {MARK_TEN} WU")


def _many_slots() -> None:
    """Units of a run in a pool that is full: one run a commit, the oldest holder leaves."""
    writes: dict[int, float] = {}
    print(f"{'slots held':>10} {'WU a run':>9} {'RU':>7} {'in one item, WU':>16} {'RU':>7}  mark")
    for held, count in _HELD.items():
        found = []
        # Without a base for comparison, all runs of which cost the same.
        for runs, plain in ((count, ()), (3, (2**40,))):
            with lives_of(*plain) as start:
                start("warm").steps(1)
                life = start("full")
                life.hold(held)
                life.steady(1)
                _, written, read = life.steady(runs)
                found += [written / runs, read / runs]
        writes[held] = found[0]
        mark = MARK_HELD.get(held, "")
        print(
            f"{held:10,} {found[0]:9.2f} {found[1]:7.2f} {found[2]:16.2f} {found[3]:7.2f}  {mark}"
        )
    print(f"1,000 slots cost {writes[1000] / writes[10]:.2f} times 10 slots; mark {MARK_FLAT}")
