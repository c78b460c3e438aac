"""What do the tests of several modules in this directory share?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra.tools.uncoded import Deployed, deployed_without_code


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The template in an emulator of its own; whoever changes it changes it back."""
    with deployed_without_code(tmp_path_factory.mktemp("deployed")) as system:
        yield system
