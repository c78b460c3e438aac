"""Is the process as commands expect it, whatever its caller has set or closed?"""

from __future__ import annotations

import os
import sys

import pytest

from push_dispatch.cli.environment import decoded, prepare


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict[str, str]())


def test_the_region_of_other_sdks_counts() -> None:
    os.environ.update({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"})
    prepare()
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
def test_no_proxy_is_asked_for_loopback(proxy: str) -> None:
    os.environ.update({proxy: "http://proxy:3128", "NO_PROXY": "intern, 127.0.0.1"})
    prepare()
    prepare()
    assert os.environ["NO_PROXY"] == "intern,127.0.0.1,localhost,::1"
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"]


def test_without_a_proxy_or_with_none_for_anything_nothing_changes() -> None:
    prepare()
    assert "NO_PROXY" not in os.environ
    os.environ.update({"http_proxy": "http://proxy:3128", "no_proxy": "*"})
    prepare()
    assert "NO_PROXY" not in os.environ


def test_streams_that_were_closed_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    prepare()
    assert sys.stdin.read() == ""
    with pytest.raises(OSError, match=r"\w"):
        print("nobody reads this", file=sys.stdout, flush=True)
    print("nor this", file=sys.stderr, flush=True)
    for stream in (sys.stdin, sys.stderr):
        stream.close()
    with pytest.raises(OSError, match=r"\w"):
        sys.stdout.close()


def test_arguments_are_utf_8_whatever_the_locale() -> None:
    assert decoded(["plain", "Zo\udcc3\udcab", "\udcff"]) == ["plain", "Zoë", "\udcff"]
