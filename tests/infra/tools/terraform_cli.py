"""Where are Terraform and the providers on this machine? And the commands that people type.

Nothing is downloaded by a path of ours: Terraform takes a provider from its registry, or from the
mirrors that its configuration names. Where neither gives one, folders of this machine are looked
through for a mirror that somebody has put there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Absent", "Terraform", "terraform_in"]

_PROVIDER = Path("registry.terraform.io/hashicorp/aws")
#: Where packages are put that are not the system's own.
_FOLDERS = ("/opt", "/usr/local", "/usr/share", "/var/lib", "/srv")
_DEPTH = 4
_SECONDS = 300


class Absent(Exception):
    """Terraform, or a provider, is not there; says which."""


@dataclass(frozen=True)
class Terraform:
    """Terraform in one folder, whose providers are there."""

    program: str
    folder: Path
    environ: Mapping[str, str]
    #: The folder that the provider is taken from; None if Terraform knows by itself.
    mirror: Path | None = None

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        """Type `terraform ARGUMENTS` and return its output. If it ends otherwise than expected,
        prints it and raises AssertionError."""
        done = subprocess.run(
            [self.program, arguments[0], *_options(arguments[0]), *arguments[1:]],
            cwd=self.folder,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode != expect:
            print(done.stdout, done.stderr)
            raise AssertionError(f"terraform {arguments[0]} ended with {done.returncode}")
        return done.stdout

    def changes(self) -> dict[str, set[str]]:
        """Which attributes a plan would change now, by the address of the resource."""
        self("plan", "-out=plan")
        plan = json.loads(self("show", "-json", "plan"))
        return {
            resource["address"]: _changed(resource["change"])
            for resource in plan["resource_changes"]
            if resource["change"]["actions"] not in (["no-op"], ["read"])
        }

    def outputs(self) -> dict[str, Any]:
        """What the applied module tells."""
        reported = json.loads(self("output", "-json"))
        return {name: output["value"] for name, output in reported.items()}


def _options(command: str) -> list[str]:
    asks = command in {"apply", "destroy", "plan"}
    return ["-no-color", *(["-input=false"] if asks else [])]


def _changed(change: Mapping[str, Any]) -> set[str]:
    before, after = (change[side] or {} for side in ("before", "after"))
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def terraform_in(folder: Path, environ: Mapping[str, str]) -> Terraform:
    """Terraform in an initialised folder. Raises Absent."""
    program = shutil.which("terraform")
    if program is None:
        raise Absent("terraform is not installed")
    env = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", **environ}
    config = env.get("TF_CLI_CONFIG_FILE", "")
    if config and not Path(config).exists():
        del env["TF_CLI_CONFIG_FILE"]  # Terraform would warn of it at each command
    terraform = Terraform(program, folder, env)
    if not (refused := _refusal(terraform)):
        return terraform
    for mirror in _mirrors():
        if not _refusal(terraform, f"-plugin-dir={mirror}"):
            return replace(terraform, mirror=mirror)
    print(refused)
    raise Absent("terraform cannot have the providers, from their registry or a mirror")


def _refusal(terraform: Terraform, *options: str) -> str:
    """What `terraform init` has against it; nothing if it is done."""
    done = subprocess.run(
        [terraform.program, "init", "-no-color", "-input=false", *options],
        cwd=terraform.folder,
        env=dict(terraform.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    return "" if done.returncode == 0 else done.stderr or done.stdout or "no reason given"


def _mirrors() -> Iterator[Path]:
    """Folders that hold providers by registry, namespace and name."""
    for top in (*_FOLDERS, str(Path.home())):
        for folder, inner, _ in os.walk(top):
            here = Path(folder)
            if (here / _PROVIDER).is_dir():
                yield here
            if len(here.relative_to(top).parts) >= _DEPTH:
                inner.clear()
