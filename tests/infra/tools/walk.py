"""Somebody follows docs/guides/deploy.md, command by command, and everything happens that it
promises.

Run by `.ci/steps/57-deploy-page.sh`, which builds the environments that it takes. The commands are
typed as they stand into one shell, in a copy of the project, and print what the page says. AWS is
MiniStack, and ECS the project's own fake, whose tasks execute their commands on this machine.

    python -m tests.infra.tools.walk SAM              # or Terraform: which of the alternatives
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tests.fakes.ecs import FakeEcs
from tests.infra.tools.page import Block, blocks, matches
from tests.infra.tools.shell import Failed, Shell
from tests.infra.tools.stack import KEYS, repair_mappings
from tests.infra.tools.tasks import Tasks
from tests.infra.tools.terraform_cli import Absent, terraform_in
from tests.ministack import client, ministack

ROOT = Path(__file__).parents[3]
PAGE = "docs/guides/deploy.md"
_LISTED = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
_ALL_SECONDS = 900
_BLOCK_SECONDS = 400
_MOST_ERRORS = 5
_MOST_LINES = 30
_SKIPPED = 77
#: One command, which changes nothing.
_LOOKS = re.compile(r"push-dispatch \w+ (ls|inspect|explain|logs)\b.*\n")
_LOOK_SECONDS = 30


class Wrong(Exception):
    """The page is wrong, or what it deploys; says where."""


def main(way: str) -> None:
    """Walk one way; ends the program with what goes wrong."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        _walk_all(way)
    except Absent as reason:
        print(f"not walked with {way}: {reason}")
        sys.exit(_SKIPPED)


def _walk_all(way: str) -> None:
    with tempfile.TemporaryDirectory() as made, FakeEcs() as ecs:
        folder = Path(made)
        project = _copy(folder / "project")
        elsewhere = {f"AWS_ENDPOINT_URL_{name}": ecs.url for name in ("ECS", "EC2")}
        # MiniStack unpacks functions for each of their workers, and leaves them there.
        python = ROOT / ".envs/ministack/bin/python"
        with (
            ministack(python, elsewhere | {"TMPDIR": made}) as endpoint,
            Tasks(ecs, endpoint),
            Shell(project, _environment(way, endpoint, elsewhere, folder), folder) as shell,
        ):
            try:
                walk(shell, (ROOT / PAGE).read_text(), way, endpoint)
                _check_nothing_is_left(endpoint, ecs)
            except Wrong as error:
                _print_errors(endpoint)
                sys.exit(f"FAILED   {error}")
    _say(f"nothing is left of the walk with {way}")


def walk(shell: Shell, page: str, way: str, endpoint: str) -> None:
    """Type the page's commands. Raises Wrong at the first that does not do as it says."""
    deadline = time.monotonic() + _ALL_SECONDS
    for block in blocks(page):
        if not block.belongs_to(way):
            continue
        print(f"--- {PAGE}:{block.line} ({block.heading})\n{block.code}", end="", flush=True)
        began = time.monotonic()
        _type(shell, block, min(began + _BLOCK_SECONDS, deadline))
        print(f"    ({time.monotonic() - began:.1f} s)", flush=True)
        repair_mappings(endpoint)


def _type(shell: Shell, block: Block, deadline: float) -> None:
    """Type commands, and compare what they print. Who only looks may look again for a while, as a
    reader would: what was asked for a moment ago may not have happened yet."""
    seen_by = time.monotonic() + (_LOOK_SECONDS if _LOOKS.fullmatch(block.code) else 0)
    while True:
        try:
            printed, message = shell.run(block.code, deadline - time.monotonic())
        except Failed as error:
            raise Wrong(f"{PAGE}:{block.line}: {error}") from error
        if block.prints is None or matches(block.prints, printed):
            break
        if time.monotonic() > seen_by:
            print(printed)
            raise Wrong(f"{PAGE}:{block.line}: the page says that it prints\n{block.prints}")
    print("".join((message + printed).splitlines(keepends=True)[-_MOST_LINES:]), end="")


def _environment(
    way: str, endpoint: str, elsewhere: Mapping[str, str], folder: Path
) -> dict[str, str]:
    """What is different here from an account and a terminal, each with its reason. All of it is
    in the environment: the commands are the page's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PUSH_DISPATCH_"))}
    tools = [str(ROOT / f".envs/{name}/bin") for name in ("sam", "aws")]
    different = {
        # The emulator is AWS, ...
        **KEYS,
        "AWS_ENDPOINT_URL": endpoint,
        # ... but for tasks: its ECS tells nobody of them.
        **elsewhere,
        # Nobody's account.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # The emulator executes functions by the interpreter at hand, and not on arm64.
        "LAMBDA_TARGET": f"--python {sys.executable}",
        # What the page has the reader install.
        "PATH": os.pathsep.join([*tools, kept["PATH"]]),
        # No usage is reported to anybody, no newer version looked for, and nothing left at home.
        "SAM_CLI_TELEMETRY": "0",
        "CHECKPOINT_DISABLE": "1",
        "__SAM_CLI_APP_DIR": str(folder / "sam"),
    }
    if way == "Terraform":
        # Nobody is there to say yes.
        different |= {f"TF_CLI_ARGS_{asks}": "-auto-approve" for asks in ("apply", "destroy")}
        different |= {"TF_CLI_ARGS": "-no-color"}
        different |= _provider(folder)
    return kept | different


def _provider(folder: Path) -> dict[str, str]:
    """Where Terraform has the provider from, if not from its registry. Raises Absent."""
    (probe := folder / "probe").mkdir()
    shutil.copy2(ROOT / "infra/terraform/versions.tf", probe)
    mirror = terraform_in(probe, os.environ).mirror
    if mirror is None:
        return {}
    config = folder / "terraform.rc"
    config.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    return {"TF_CLI_CONFIG_FILE": str(config)}


def _copy(project: Path) -> Path:
    """What git has, or would have, of the project; as it is now."""
    listed = subprocess.run(_LISTED, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    return project


def _check_nothing_is_left(endpoint: str, ecs: FakeEcs) -> None:
    left: dict[str, Callable[[], list[Any]]] = {
        "tables": lambda: client("dynamodb", endpoint).list_tables()["TableNames"],
        "functions": lambda: client("lambda", endpoint).list_functions()["Functions"],
        "queues": lambda: client("sqs", endpoint).list_queues().get("QueueUrls", []),
        # That of ECS is the account's: nobody makes it again, and nobody removes it.
        "roles": lambda: [
            role
            for role in client("iam", endpoint).list_roles()["Roles"]
            if not role["Path"].startswith("/aws-service-role/")
        ],
        "log groups": lambda: client("logs", endpoint).describe_log_groups()["logGroups"],
        "clusters": lambda: sorted(ecs.clusters - {"default"}),
    }
    for what, look in left.items():
        if found := look():
            raise Wrong(f"{PAGE}: of the {what}, {json.dumps(found, default=str)} are left")


def _print_errors(endpoint: str) -> None:
    """What the functions have logged as an error: the reason is often there."""
    logs = client("logs", endpoint)
    for group in logs.describe_log_groups()["logGroups"]:
        found = logs.filter_log_events(logGroupName=group["logGroupName"], filterPattern="ERROR")
        for event in found["events"][:_MOST_ERRORS]:
            print(f"{group['logGroupName']}: {event['message']}")


def _leave(*_: object) -> NoReturn:
    """Through every `finally`: nothing keeps running."""
    sys.exit(128 + signal.SIGTERM)


def _say(what: str) -> None:
    print(f"--- {what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
