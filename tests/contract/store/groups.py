"""What must a store promise about the newest run of a group?"""

from __future__ import annotations

from push_dispatch.ports.store import Store
from tests.contract.store.suite import StoreSuite

__all__ = ["GroupContract"]


class GroupContract(StoreSuite):
    """`supersede` and `newest`."""

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
