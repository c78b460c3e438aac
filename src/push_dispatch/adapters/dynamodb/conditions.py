"""Which conditions guard the writes? Each has a name, so that a test can take one away and see
what it was good for."""

from __future__ import annotations

__all__ = [
    "ABSENT",
    "BASE_AS_STORED",
    "BASE_NOT_NEWER",
    "BASE_OLDER",
    "CIRCUIT_UNCHANGED",
    "CONFIGURATION_OLDER",
    "LEAD_FREE",
    "LEDGER_UNCHANGED",
    "MARK_UNCHANGED",
    "NOT_NEWER",
    "POOL_UNCHANGED",
    "PRESENT",
    "RUN_UNCHANGED",
    "RUN_WAITS_FIRST",
    "SWEEP_FREE",
    "TURN_UNCHANGED",
]

#: Nothing is stored under this key.
ABSENT = "attribute_not_exists(PK)"

#: Something is stored under this key.
PRESENT = "attribute_exists(PK)"

#: Nobody has written the run since it was read. A run that was put by other means than ours (an
#: EventBridge schedule that writes the item itself) may have no revision yet.
RUN_UNCHANGED = (
    "rev = :rev OR (:rev = :zero AND attribute_exists(PK) AND attribute_not_exists(rev))"
)

#: The run waits for its first attempt, and its item was written by us: one that somebody else has
#: put may lack what the claim builds on.
RUN_WAITS_FIRST = (
    "#state = :scheduled AND attempt = :zero AND attribute_type(rev, :number) "
    "AND attribute_not_exists(attempts)"
)

#: Nobody has written the ledger, or changed the pool's configuration, since it was read.
LEDGER_UNCHANGED = "version = :version OR (:version = :zero AND attribute_not_exists(version))"

#: What lies where a base of the ledger is to be written is older than it: a base is written once,
#: and never over that of a later pass.
BASE_OLDER = "attribute_not_exists(version) OR version < :version"

#: It is what was read, which a ledger that was deleted by hand has left behind.
BASE_AS_STORED = "version = :stored"

#: It is none of the next pool of this name.
BASE_NOT_NEWER = "version <= :version OR attribute_not_exists(version)"

#: The ledger belongs to an older configuration than the one that was just stored.
CONFIGURATION_OLDER = "attribute_not_exists(configuration) OR configuration < :new"

#: Nobody has changed the pool's configuration since it was read. One declared by other means
#: (Terraform) may have no version.
POOL_UNCHANGED = (
    "version = :version OR (:version = :zero AND attribute_exists(PK) "
    "AND attribute_not_exists(version))"
)

#: Nobody sweeps: who began last has ended, or its time is over.
SWEEP_FREE = "attribute_not_exists(leased_until) OR leased_until <= :now"

#: No newer run of the group is known.
NOT_NEWER = "attribute_not_exists(newest) OR newest <= :newest"

#: No run leads the group that this one must leave the lead to.
LEAD_FREE = "attribute_not_exists(newest) OR newest < :after OR newest = :newest"

#: Nobody has marked the pool since the list was read.
MARK_UNCHANGED = "marked_at = :marked_at"

#: Nobody has called the platform since the circuit was read.
CIRCUIT_UNCHANGED = "next_at = :next_at OR (:next_at = :zero AND attribute_not_exists(next_at))"

#: Nobody has taken the turn to poll since it was read.
TURN_UNCHANGED = CIRCUIT_UNCHANGED

#: The run's revision is the attribute that was read, malformed as it may be, or still absent.
REV_AS_STORED = "rev = :rev"
REV_ABSENT = "attribute_exists(PK) AND attribute_not_exists(rev)"
