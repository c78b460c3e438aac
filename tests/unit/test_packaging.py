from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import push_dispatch

PACKAGE = Path(push_dispatch.__file__).parent

#: The modules that decide. They import each other and the standard library, nothing else.
CORE = ("admission", "errors", "lifecycle", "model", "reasons", "retry", "template")

#: What a Lambda function loads between a run's put and its push: nothing of HEAVY.
HOT = ("dispatch", "finish", "messages.sqs", "push", "store.dynamodb", "sweep")
HEAVY = {"azure", "cyclopts", "docker", "google", "jsonschema", "modal", "pydantic", "requests"}


def modules_after(statement: str) -> set[str]:
    """What is loaded in a fresh interpreter once it has executed `statement`."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def third_party(modules: set[str]) -> set[str]:
    """The top-level names among `modules` that somebody had to install."""
    distributions = importlib.metadata.packages_distributions()
    roots = {name.partition(".")[0] for name in modules} - {"push_dispatch"}
    return {name for name in roots if name in distributions and name not in sys.stdlib_module_names}


def imports_of(path: Path) -> set[str]:
    """The top-level names that a source file imports anywhere, functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def test_version_is_the_one_of_the_metadata() -> None:
    assert push_dispatch.__version__ == importlib.metadata.version("push-dispatch")


def test_unknown_attribute_is_named() -> None:
    with pytest.raises(AttributeError, match="'push_dispatch' has no attribute 'nothing'"):
        _ = push_dispatch.nothing


def test_package_is_marked_as_typed() -> None:
    assert importlib.resources.files("push_dispatch").joinpath("py.typed").is_file()


def test_package_exports_only_what_exists() -> None:
    assert all(hasattr(push_dispatch, name) for name in push_dispatch.__all__)


def test_importing_the_package_loads_no_third_party_module() -> None:
    before = modules_after("")
    assert third_party(modules_after("import push_dispatch") - before) == set()


def test_third_party_modules_would_be_noticed() -> None:
    assert {"boto3", "botocore"} <= third_party(modules_after("import boto3"))


@pytest.mark.parametrize("name", CORE)
def test_core_imports_only_the_standard_library(name: str) -> None:
    path = PACKAGE / f"{name}.py"
    assert imports_of(path) - sys.stdlib_module_names <= {"push_dispatch"}


@pytest.mark.parametrize("name", HOT)
def test_path_of_a_run_loads_nothing_heavy(name: str) -> None:
    loaded = third_party(modules_after(f"import push_dispatch.{name}"))
    assert loaded & HEAVY == set()


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
