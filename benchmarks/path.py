"""What does one run ask of AWS, call by call? Counted on the client, on a table of moto's.

`tests/integration/test_cost.py` holds docs/reference/cost.md to the same figures.
"""

from __future__ import annotations

from tests.fakes.lives import lives_of

__all__ = ["main"]

#: Of one run at idle: calls, write units, read units.
MARK = (12, 6, 7)
MARK_TEN = 4.3


def main() -> None:
    """Print the calls of one run at idle, and the units of runs that share commits."""
    with lives_of() as start:
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
        for count in (10, 100):
            calls, writes, reads = map(
                sum, zip(*start(f"k{count}").steps(count).values(), strict=True)
            )
            shares = f"{writes / count:.2f} WU, {reads / count:.2f} RU, {calls / count:.2f} calls"
            print(f"k = {count:3}: {shares} a run")
        print(f"mark for k = 10: {MARK_TEN} WU")
