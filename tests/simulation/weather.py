"""What goes wrong: carries out the faults of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from push_dispatch.core.errors import NoCapacity, Throttled
from push_dispatch.engine.stop import cancel
from push_dispatch.handlers import sweep
from push_dispatch.ports.messages import Wake, encode
from push_dispatch.ports.store import Change
from tests.simulation.aws import Function
from tests.simulation.plan import POOL, Act, Fault

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

__all__ = ["Weather"]


class Weather:
    """Of one story."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._timeline = simulation.timeline
        #: Losses, repetitions and delays that wait for something to strike, by kind of thing.
        self._misfortunes: list[Fault] = []
        #: What holds until when.
        self._windows: list[tuple[int, str]] = []

    def begin(self, fault: Fault) -> None:
        """It is the fault's time."""
        match fault.kind:
            case "kill" | "unavailable" | "slow" | "half" | "rival" | "lost_reply" | "reject":
                self._sim.wire.arm(fault)
            case "lose" | "duplicate" | "late":
                self._misfortunes.append(fault)
            case "clock_jumps":
                self._jump(fault)
            case "vanish":
                self._vanish()
            case "poison_record" | "poison_message" | "poison_run":
                self._poison(fault)
            case _:
                self._open(fault)

    def holds(self, kind: str) -> bool:
        """Whether such a time is not over."""
        now = self._timeline.now
        return any(name == kind and until > now for until, name in self._windows)

    def fate(self, thing: str) -> Fault | None:
        """What happens to a thing that is just being sent; None if it arrives as it should."""
        for number, fault in enumerate(self._misfortunes):
            if fault.verb == thing:
                del self._misfortunes[number]
                self._sim.wire.fire(f"{fault.kind} {thing}")
                return fault
        return None

    def at_platform(self, fault: Fault) -> None:
        """The next push: its reply gets lost, or it is rejected for good."""
        if fault.kind == "reject":
            self._sim.cloud.rejects = True
        else:
            self._sim.cloud.loses_reply = True

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        sim = self._sim
        self._misfortunes.clear()
        self._windows.clear()
        sim.wire.disarm()
        sim.cloud.refuses, sim.cloud.down, sim.cloud.room = None, False, None
        sim.cloud.rejects = sim.cloud.loses_reply = False
        sim.account.elsewhere, sim.stream.stalled_until = 0, 0
        for queue in sim.queues:
            queue.dead_letters_full = False

    def rival(self) -> None:
        """Another function does something at this very moment."""
        sim = self._sim
        match sim.rng.randrange(5):
            case 0:
                sim.put_body(sim.wake_queue, encode(Wake(POOL)), 0)
            case 1:
                facts = sim.functions["sweep"].facts
                rival = Function("sweep", facts, lambda _event, _left: sweep.handle(sim.ports))
                sim.account.invoke(rival, {}, lambda _result, _error: None)
            case 2:
                if under_way := [run for run in sim.runs() if not run.state.ended]:
                    victim = sim.rng.choice(under_way).id
                    sim.people.do(lambda: cancel(sim.ports, victim))
            case 3:
                sim.people.act(Act(0, "limit", sim.rng.choice((1, 2, 3))))
                sim.disturb(self._timeline.now)
            case _:
                if orders := sim.push_queue.waiting:
                    copy = sim.rng.choice(orders)
                    sim.put_body(sim.push_queue, copy.body, 0, about=copy.about)

    # -- moments -----------------------------------------------------------------------------------

    def _jump(self, fault: Fault) -> None:
        sim = self._sim
        sim.note(f"! the clock jumps by {fault.amount // 1000} s")
        sim.offset += fault.amount
        sim.oracle.clock_jumped = True
        # No platform's clock jumps with ours: what it does not know yet is no matter of time then.
        sim.cloud.lags = False
        sim.wire.fire("clock_jumps")

    def _poison(self, fault: Fault) -> None:
        sim = self._sim
        match fault.kind:
            case "poison_message":
                for queue in (sim.push_queue, sim.wake_queue, sim.finish_queue):
                    sim.put_body(queue, '{"verb": "push", "nonsense": [', 0)
            case "poison_record":
                sim.stream.append(sim.stream.poison())
            case _:
                self._spoil()
        sim.note(f"! {fault.kind}")
        sim.wire.fire(fault.kind)

    def _spoil(self) -> None:
        """Somebody else writes nonsense into a run."""
        sim = self._sim
        run = next((run for run in sim.runs() if not run.state.ended), None)
        if run is not None:
            spoiled = replace(run, unreadable="due is not a number", rev=run.rev + 1)
            sim.store._runs[POOL, run.uuid] = spoiled
            sim.changed([Change(POOL, run, spoiled)])

    def _vanish(self) -> None:
        """Only what is known to have started: see `Platform.push` about names."""
        sim = self._sim
        for run in sim.runs():
            handle = run.current.handle if run.current else None
            found = sim.cloud.containers.get(handle or "")
            if found is not None and found.live:
                sim.note(f"! {found.job.name} vanishes")
                sim.cloud.vanish(found)
                sim.wire.fire("vanish")
                return

    # -- times -------------------------------------------------------------------------------------

    def _open(self, fault: Fault) -> None:
        sim, until = self._sim, self._timeline.now + fault.length
        sim.note(f"! {fault.kind} for {fault.length // 1000} s")
        sim.wire.fire(fault.kind)
        self._set(fault, on=True)
        self._windows.append((until, fault.kind))
        sim.disturb(until)

        def over() -> None:
            if not self.holds(fault.kind):
                self._set(fault, on=False)
            sim.note(f"! {fault.kind} is over")

        self._timeline.at(until, over)

    def _fill_dead_letters(self, on: bool) -> None:
        for queue in self._sim.queues:
            queue.dead_letters_full = on

    def _set(self, fault: Fault, *, on: bool) -> None:
        sim, cloud, amount = self._sim, self._sim.cloud, fault.amount
        after = float(amount) if amount else None
        sets: dict[str, Callable[[], None]] = {
            "table": lambda: setattr(sim.wire, "table_throttles", amount if on else 0),
            "platform_full": lambda: setattr(cloud, "refuses", NoCapacity("full") if on else None),
            "platform_throttles": lambda: setattr(
                cloud, "refuses", Throttled("slow down", after_seconds=after) if on else None
            ),
            "platform_down": lambda: setattr(cloud, "down", on),
            "busy": lambda: setattr(sim.account, "elsewhere", amount if on else 0),
            "stream_stalls": lambda: setattr(
                sim.stream, "stalled_until", self._timeline.now + fault.length if on else 0
            ),
            "dead_letters_full": lambda: self._fill_dead_letters(on),
            "no_sweep": lambda: None,
        }
        sets[fault.kind]()
