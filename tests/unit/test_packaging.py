from __future__ import annotations

import importlib.metadata
import importlib.resources
import re

import pytest

import push_dispatch


def test_version_is_the_one_of_the_metadata() -> None:
    assert push_dispatch.__version__ == importlib.metadata.version("push-dispatch")


def test_unknown_attribute_is_named() -> None:
    with pytest.raises(AttributeError, match="'push_dispatch' has no attribute 'nothing'"):
        _ = push_dispatch.nothing


def test_package_is_marked_as_typed() -> None:
    assert importlib.resources.files("push_dispatch").joinpath("py.typed").is_file()


def test_package_exports_only_what_exists() -> None:
    assert all(hasattr(push_dispatch, name) for name in push_dispatch.__all__)


def requirements_of(extra: str) -> set[str]:
    """What installing the extra adds, without its marker."""
    lines = (line.partition(";") for line in importlib.metadata.requires("push-dispatch") or ())
    pattern = re.compile(rf"extra == ['\"]{re.escape(extra)}['\"]")
    return {what.strip() for what, _, marker in lines if pattern.search(marker)}


def test_all_is_every_extra() -> None:
    extras = importlib.metadata.metadata("push-dispatch").get_all("Provides-Extra") or []
    each = {extra: requirements_of(extra) for extra in extras if extra != "all"}
    assert each["cli"]
    assert requirements_of("all") == set[str]().union(*each.values())
