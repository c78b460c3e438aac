"""How does a third party check its own adapter? By the same contract suites as ours.

Nothing here is imported by the service. Each suite is a pytest base class in a module of its own,
so that importing this package needs no pytest.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from push_dispatch.testing.platform_contract import PlatformContract

__all__ = ["PlatformContract"]

# Suites are not test modules, so pytest has to be told to explain their failing asserts too.
if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite(
        *(
            f"{__name__}.platform_{part}"
            for part in ("contract", "fake", "life", "push", "sign_in", "suite")
        ),
        *(f"{__name__}.store_{part}" for part in ("ledger", "line", "pools", "runs", "suite")),
    )


def __getattr__(name: str) -> Any:
    if name == "PlatformContract":
        from push_dispatch.testing.platform_contract import PlatformContract  # noqa: PLC0415

        return PlatformContract
    raise AttributeError(name)
