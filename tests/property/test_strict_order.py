"""Does a pool that asks for nothing new get, bit for bit, the decision that it always got?"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings, strategies as st

from push_dispatch.core.admission import Snapshot, decide
from push_dispatch.core.circuit import Circuit
from push_dispatch.core.model import Collision, Holder, Ledger, Pool, Queue, Rate, Ready
from tests.fakes import former_admission as former

NOW = 1_800_000_000_000
KEYS = st.sampled_from(["", "k", "l"])
DEPLOYMENTS = st.sampled_from(["", "d", "e"])
LIMITS = st.none() | st.integers(0, 4)
RATES = st.none() | st.builds(Rate, st.integers(1, 3), st.integers(1, 60))

QUEUES = st.builds(
    lambda given: tuple(
        replace(queue, name=f"q{n}", priority=1 + 3 * n) for n, queue in enumerate(given)
    ),
    st.lists(
        st.builds(
            Queue,
            st.just(""),
            st.just(1),
            limit=LIMITS,
            paused=st.booleans(),
            key_limit=LIMITS,
            rate=RATES,
        ),
        min_size=1,
        max_size=3,
    ),
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    queues = draw(QUEUES)
    names = st.sampled_from([queue.name for queue in queues])
    pool = Pool(
        "p",
        "process",
        limit=draw(LIMITS),
        paused=draw(st.booleans()) and draw(st.booleans()),
        queues=queues,
        key_limit=draw(LIMITS),
        rate=draw(RATES),
        platform_rate=draw(RATES),
        deployment_limits=draw(st.dictionaries(st.sampled_from("de"), st.integers(0, 2))),
    )
    times = st.integers(NOW - 60_000, NOW + 60_000)
    holders = draw(
        st.lists(
            st.builds(
                Holder,
                st.sampled_from([f"r{n}" for n in range(6)]),
                st.just(1),
                names,
                times,
                KEYS,
                DEPLOYMENTS,
            ),
            max_size=5,
            unique_by=lambda holder: holder.run,
        )
    )
    places = draw(
        st.lists(
            st.builds(
                Ready,
                names,
                times,
                st.sampled_from("abc"),
                st.sampled_from([f"r{n}" for n in range(12)]),
                st.just(1),
                expires=st.none() | times,
                concurrency_key=KEYS,
                deployment=DEPLOYMENTS,
                collision=st.sampled_from([Collision.ENQUEUE, Collision.CANCEL_NEW]),
                refused_at=st.sampled_from([0, NOW - 30_000]),
            ),
            max_size=12,
            unique_by=lambda place: place.run,
        )
    )
    # Without a deployment a run collided with nothing; now it does with those of its key.
    places = [
        place if place.deployment else replace(place, collision=Collision.ENQUEUE)
        for place in places
    ]
    starts = {
        "": tuple(
            (NOW - ago, 1)
            for ago in sorted(draw(st.sets(st.integers(0, 90_000), max_size=3)))[::-1]
        )
    }
    ledger = Ledger("p", 3, tuple(holders), starts, paced=draw(times))
    circuit = draw(
        st.sampled_from(
            [
                Circuit(),
                Circuit(refusals=2, next_at=NOW - 1, reason="no_room"),
                Circuit(refusals=1, next_at=NOW + 1, reason="throttled"),
                Circuit(recovered_at=NOW - 1500, reason="no_room"),
            ]
        )
    )
    line = {
        queue.name: sorted(
            (place for place in places if place.queue == queue.name), key=lambda p: p.place
        )
        for queue in queues
    }
    return Snapshot(pool, ledger, line, circuit)


@settings(max_examples=400, deadline=None)
@given(snapshots(), st.integers(0, 5))
def test_the_strict_order_is_what_it_was(snapshot: Snapshot, at_most: int) -> None:
    before = former.decide(
        former.Snapshot(snapshot.pool, snapshot.ledger, snapshot.ready, snapshot.circuit),
        NOW,
        at_most=at_most,
    )

    after = decide(snapshot, NOW, at_most=at_most)

    assert after.admit == before.admit
    assert after.resend == before.resend
    assert after.expire == before.expire
    assert after.collide == before.collide
    assert [(w.ready, w.reason) for w in after.wait] == [(w.ready, w.reason) for w in before.wait]
    # It may look further than it did, never less far.
    assert after.hungry >= before.hungry
