"""Does a table that throttles get its time, and is none waited for without end?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb.table import Table, key_of
from push_dispatch.core.errors import Unavailable

WANTED = [{"PutRequest": {"Item": key_of("p", str(n))}} for n in range(60)]


class Throttling:
    """Takes one item of each batch request, as long as it throttles."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.taken: list[Any] = []

    def batch_write_item(self, RequestItems: Any) -> dict[str, Any]:  # noqa: N803
        ((table, requests),) = RequestItems.items()
        assert len(requests) <= 25
        done, left = self._split(requests)
        self.taken += done
        return {"UnprocessedItems": {table: left} if left else {}}

    def batch_get_item(self, RequestItems: Any) -> dict[str, Any]:  # noqa: N803
        ((table, wanted),) = RequestItems.items()
        assert wanted["ConsistentRead"]
        done, left = self._split(wanted["Keys"])
        more = {table: {**wanted, "Keys": left}} if left else {}
        return {"Responses": {table: done}, "UnprocessedKeys": more}

    def _split(self, entries: list[Any]) -> tuple[list[Any], list[Any]]:
        if not self.times:
            return entries, []
        self.times -= 1
        return entries[:1], entries[1:]


def table(client: Throttling, slept: list[float]) -> Table:
    return Table(client, "pools", slept.append)  # type: ignore[arg-type]


def test_what_is_left_over_is_sent_again_and_nothing_twice() -> None:
    client, slept = Throttling(3), list[float]()
    table(client, slept).write_all(WANTED)
    assert client.taken == WANTED
    assert len(slept) == 3

    client = Throttling(2)
    keys = [key_of("p", str(n)) for n in range(5)]
    assert list(table(client, slept).get_all(keys)) == keys


@pytest.mark.parametrize(
    "act",
    [
        lambda it: it.write_all(WANTED[:25]),
        lambda it: it.delete_all([("p", str(n)) for n in range(25)]),
        lambda it: list(it.get_all([key_of("p", str(n)) for n in range(25)])),
    ],
    ids=["write", "delete", "read"],
)
def test_after_some_five_seconds_it_is_unavailable(act: Callable[[Table], object]) -> None:
    slept: list[float] = []
    with pytest.raises(Unavailable, match="it is throttling"):
        act(table(Throttling(1000), slept))
    assert len(slept) == 8
    assert sum(slept) <= 5.1
    # Each twice as long as the one before, and none like that of another function.
    for attempt, pause in enumerate(slept):
        assert 0.01 * 2**attempt <= pause <= 0.02 * 2**attempt
    again: list[float] = []
    with pytest.raises(Unavailable):
        act(table(Throttling(1000), again))
    assert again != slept


def test_a_limit_holds_across_pages() -> None:
    class Pages:
        """Two items a page."""

        def query(self, **request: Any) -> dict[str, Any]:
            first = int(request.get("ExclusiveStartKey", {"SK": {"S": "0"}})["SK"]["S"])
            count = min(2, request.get("Limit", 2))
            items = [key_of("p", str(first + n + 1)) for n in range(count)]
            return {"Items": items, "LastEvaluatedKey": items[-1]}

    found = Table(Pages(), "pools", lambda _: None).query("p", limit=5)  # type: ignore[arg-type]
    assert [item["SK"]["S"] for item in found] == ["1", "2", "3", "4", "5"]
