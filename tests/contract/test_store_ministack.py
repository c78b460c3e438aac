"""Does the DynamoDB store keep the promises on MiniStack?"""

from __future__ import annotations

from typing import Any

import pytest

from tests import ministack as stack
from tests.contract.dynamo_suite import DynamoContract


@pytest.fixture(scope="module")
def ministack_client(ministack: str) -> Any:
    return stack.table(ministack, "contract")


class TestDynamoStoreOnMiniStack(DynamoContract):
    @pytest.fixture
    def client(self, ministack_client: Any) -> Any:
        return ministack_client

    @pytest.fixture
    def table(self) -> str:
        return "contract"
