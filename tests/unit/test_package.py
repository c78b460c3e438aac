"""Is the package what its metadata say, the path of a run light, and the core pure?

A function imports it all at a cold start.
"""

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

#: By the name under which it is imported: platform SDKs, and what only the CLI or the API needs.
HEAVY = {
    "aiohttp",
    "aws_croniter",
    "azure",
    "cyclopts",
    "docker",
    "google",
    "grpc",
    "jsonschema",
    "kubernetes",
    "ministack",
    "modal",
    "msal",
    "opentelemetry",
    "prefect",
    "psutil",
    "pydantic",
    "pydantic_core",
    "requests",
    "rich",
    "yaml",
}

PATH = [
    "push_dispatch.engine.dispatch",
    "push_dispatch.handlers.dispatch",
    "push_dispatch.handlers.push",
    "push_dispatch.handlers.finish",
    "push_dispatch.handlers.sweep",
    "push_dispatch.adapters.dynamodb.store",
    "push_dispatch.adapters.sqs",
]
#: What importing a platform may bring: its client library, and what that one imports itself.
SDKS: dict[str, set[str]] = {
    "aci": {"azure", "msal", "requests"},
    # google-auth takes aiohttp along where it is installed, which it is not with this extra alone.
    "cloud_run": {"aiohttp", "google", "grpc", "opentelemetry", "requests"},
    "coiled": set(),
    "docker": {"docker", "requests"},
    "ecs": set(),
    "kubernetes": {"yaml"},
    "ecs.managed": set(),
    "modal": {"google", "grpc"},
    "process": {"psutil"},
    "vertex": {"aiohttp", "google", "requests"},
}
ROOT = Path(push_dispatch.__file__).parent
CORE = sorted((ROOT / "core").rglob("[!_]*.py"))
#: A module of the core that imports a library inside a function, and why.
LAZY = {
    "schemas": {"jsonschema", "jsonschema_specifications", "referencing"},  # when somebody submits
    "validation": {"jsonschema"},  # its types
}


def imported(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after `statement`."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def imports_in(path: Path) -> set[str]:
    """The top-level names that a source file imports anywhere, functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def roots(modules: set[str]) -> set[str]:
    names = {module.partition(".")[0] for module in modules}
    # The standard library's own, named after the machine.
    return {name for name in names if not name.startswith("_sysconfigdata")}


@pytest.mark.parametrize("module", PATH)
def test_path_of_a_run_imports_nothing_heavy(module: str) -> None:
    modules = imported(f"import {module}")
    assert module in modules
    assert roots(modules) & HEAVY == set()
    platforms = {m for m in modules if m.startswith("push_dispatch.platforms.")}
    light = ("base", "built_in", "capabilities", "registry")
    assert platforms <= {f"push_dispatch.platforms.{name}" for name in light}


def test_a_function_reaches_aws_without_boto3() -> None:
    """Beside botocore it is a tenth of a function's start."""
    names = ("AWS_REGION", "AWS_DEFAULT_REGION", "PUSH_DISPATCH_TABLE", "AWS_EC2_METADATA_DISABLED")
    made = f"import os; os.environ |= dict.fromkeys({names}, 'true')"
    modules = imported(f"{made}; from push_dispatch import bootstrap; bootstrap.ports()")
    assert "botocore.client" in modules
    assert roots(modules) & {"boto3", "s3transfer"} == set()


@pytest.mark.parametrize("name", SDKS)
def test_a_platform_imports_its_own_sdk_only(name: str) -> None:
    modules = imported(f"import push_dispatch.platforms.{name}")
    assert roots(modules) & HEAVY <= SDKS[name]
    ours = {m.split(".")[2] for m in modules if m.startswith("push_dispatch.platforms.")}
    assert ours & set(SDKS) <= {name.partition(".")[0]}


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_core_imports_the_standard_library_only(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    modules = imported(f"import push_dispatch.{module}")
    added = roots(modules - imported("pass")) - sys.stdlib_module_names
    assert added == {"push_dispatch"}
    written = imports_in(path) - sys.stdlib_module_names - {"push_dispatch"}
    assert written == LAZY.get(path.stem, set())


def test_importing_the_package_imports_the_standard_library_only() -> None:
    added = roots(imported("import push_dispatch") - imported("pass")) - sys.stdlib_module_names
    assert added == {"push_dispatch"}


def test_the_client_is_cheap_to_import() -> None:
    """Under 50 ms, which a test cannot measure: a third of what `import urllib.request` loads."""
    added = imported("from push_dispatch import Client") - imported("pass")
    ours = {module for module in added if module.startswith("push_dispatch")}
    assert "push_dispatch.api.client.client" in ours
    assert {module.split(".")[1] for module in ours if "." in module} == {"api", "core"}
    assert len(added) < 60


def test_heavy_modules_would_be_seen() -> None:
    """The check itself: what it forbids is installed here, and is found when it is imported."""
    assert roots(imported("import pydantic, jsonschema, google.cloud.run_v2")) & HEAVY >= {
        "pydantic",
        "jsonschema",
        "google",
    }


# -- metadata -------------------------------------------------------------------------------------


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


def test_what_is_deployed_is_what_the_lock_names_with_hashes(tmp_path: Path) -> None:
    command = ["make", "--dry-run", "build-SubmitFunction", f"ARTIFACTS_DIR={tmp_path}"]
    here = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True, timeout=60)
    steps = done.stdout.replace("\\\n", " ").splitlines()
    [locked] = [step for step in steps if " export " in step]
    others, own = [step for step in steps if "pip install" in step]
    assert "--frozen" in locked
    assert "--require-hashes -r" in others
    assert own.endswith("--no-deps .")
