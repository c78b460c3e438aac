"""Does the client keep its promises over HTTP, and over the table?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from push_dispatch import Client
from push_dispatch.api.client.backend import Backend
from push_dispatch.api.client.transport import InProcess
from push_dispatch.local.discovery import Record
from push_dispatch.local.runtime import LocalRuntime
from tests.contract.client.suite import ClientContract


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalRuntime, Record]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        found = LocalRuntime("client", tmp_path_factory.mktemp("data"))
        record = found.start()
        yield found, record
        found.stop(processes=True)


class TestOverHttp(ClientContract):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def connect(cls, runtime: tuple[LocalRuntime, Record]) -> None:
        """As any program on this machine finds it."""
        _, record = runtime
        cls.client = Client(local=record.name)


class TestOverTheTable(ClientContract):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def connect(cls, runtime: tuple[LocalRuntime, Record], tmp_path_factory: object) -> None:
        found, record = runtime
        results = Path(record.process_dir).parent / "results"
        cls.client = Client(transport=InProcess(found.ports), results=results.as_uri())
        assert isinstance(cls.client._backend, Backend)
