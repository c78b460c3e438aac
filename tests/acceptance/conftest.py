"""One local runtime for all acceptance tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local import Cli, LocalUp


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """Types commands; a local runtime named `default` is up."""
    cli = Cli(tmp_path_factory.mktemp("home"))
    with LocalUp(cli):
        yield cli


@pytest.fixture
def pool(cli: Cli, request: pytest.FixtureRequest) -> str:
    """A fresh pool of processes, named after the test, limited to 2."""
    name = request.node.name.replace("[", "-").replace("]", "").replace("_", "-")[:60].rstrip("-")
    cli.ok("pool", "create", name, "--type", "process", "--limit", "2")
    return str(name)
