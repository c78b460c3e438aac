"""What does a push find behind a reference to a block of an attached server?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from push_dispatch.adapters.prefect.blocks import BlockSecrets
from tests.fakes.bridged import Clock, _Secrets
from tests.fakes.prefect import FakePrefect


@pytest.fixture
def server() -> Iterator[FakePrefect]:
    with FakePrefect(Clock()) as started:
        started.blocks |= {
            ("secret", "token"): {"value": "s3cret"},
            ("aws-credentials", "prod"): {"region": "eu", "keys": [{"id": "AKIA"}], "n": 3},
        }
        yield started


def secrets(server: FakePrefect) -> BlockSecrets:
    documents = {"etl": {"address": {"api_url": server.api, "later": 1}}}
    return BlockSecrets(_Secrets({"mine": "kept"}), documents.get)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("secret/token", "s3cret"),
        ("aws-credentials/prod/region", "eu"),
        ("aws-credentials/prod/keys/0/id", "AKIA"),
        ("aws-credentials/prod/n", "3"),
        ("aws-credentials/prod/keys", '[{"id": "AKIA"}]'),
    ],
)
def test_a_block_is_read_by_its_path(server: FakePrefect, path: str, value: str) -> None:
    name = f"prefect-blocks/etl/{path}"
    assert secrets(server).read(name) == value
    assert secrets(server).arn(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "prefect-blocks/etl/secret/nowhere",
        "prefect-blocks/etl/aws-credentials/prod/nowhere",
        "prefect-blocks/other/secret/token",
    ],
)
def test_what_is_not_there(server: FakePrefect, name: str) -> None:
    with pytest.raises(KeyError):
        secrets(server).read(name)


def test_other_names_are_read_where_they_were(server: FakePrefect) -> None:
    assert secrets(server).read("mine") == "kept"
    assert server.received == []
