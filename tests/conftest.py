"""What do the tests of several directories share?"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.ministack import ministack as run_ministack

# The same examples in every run: whoever breaks a property sees it, and nobody else does. New ones
# are tried by `make test ARGS=--hypothesis-profile=explore`. A failure prints what reproduces it.
_SLOW_MACHINE = (HealthCheck.too_slow, HealthCheck.data_too_large)
for _profile in ("same", "explore"):
    settings.register_profile(
        _profile,
        derandomize=_profile == "same",
        print_blob=True,
        deadline=None,
        suppress_health_check=_SLOW_MACHINE,
    )
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def _no_account() -> Iterator[None]:
    """No test reaches an AWS account by accident: an endpoint under test is named explicitly."""
    if "PUSH_DISPATCH_TEST_DYNAMODB_ENDPOINT" in os.environ:
        yield
        return
    kept = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    for name in kept:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    yield
    os.environ |= kept


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """The endpoint of a MiniStack that lives as long as the session (of this worker)."""
    with run_ministack() as endpoint:
        yield endpoint
