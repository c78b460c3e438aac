"""What must a store promise about which run of a group counts?"""

from __future__ import annotations

from push_dispatch.ports.store import Store
from tests.contract.store.suite import StoreSuite

__all__ = ["GroupContract"]


class GroupContract(StoreSuite):
    """`supersede`, `lead` and `newest`."""

    def test_the_newest_of_a_group_is_known(self, store: Store, pool: str) -> None:
        assert store.newest(pool, "d:x") == ""
        assert store.supersede(pool, "d:x", "1", "a") == ""
        assert store.supersede(pool, "d:x", "3", "c") == "a"
        assert store.supersede(pool, "d:x", "2", "b") == "b"
        assert store.newest(pool, "d:x") == "3"
        assert store.supersede(pool, "d:y", "1", "z") == ""

    def test_saying_it_twice_supersedes_nobody(self, store: Store, pool: str) -> None:
        store.supersede(pool, "d:x", "1", "a")
        assert store.supersede(pool, "d:x", "1", "a") == ""

    def test_one_of_those_that_are_near_leads_a_group(self, store: Store, pool: str) -> None:
        assert store.lead(pool, "leading:d", "20#a", "a", "11") == "20#a"
        assert store.lead(pool, "leading:d", "25#b", "b", "16") == "20#a"
        assert store.lead(pool, "leading:d", "30#c", "c", "21") == "30#c"
        assert store.lead(pool, "leading:d", "28#d", "d", "19") == "30#c"
        assert store.newest(pool, "leading:d") == "30#c"

    def test_leading_it_twice_is_leading_it_once(self, store: Store, pool: str) -> None:
        store.lead(pool, "leading:d", "20#a", "a", "11")
        assert store.lead(pool, "leading:d", "20#a", "a", "11") == "20#a"
