"""Are the modules for Google Cloud and Azure valid, and do their own tests pass?

Run by `.ci/steps/65-terraform-clouds.sh`. Which values their variables take needs no provider, and
is always looked at. The rest needs the providers of Google and Azure, and is skipped without them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.infra.tools.terraform_cli import Absent, terraform_in

ROOT = Path(__file__).parents[3] / "infra/terraform"
_SKIPPED = 77
_ACCOUNT = "arn:aws:iam::123456789012"
_TRUST = {"role_arn": f"{_ACCOUNT}:role/a-role", "issuer": "https://issuer.example"}
#: By module: variables that are taken, and one at a time, what is not.
_CASES: dict[str, tuple[dict[str, str], list[tuple[str, str]]]] = {
    "platform-cloud-run": (
        {**_TRUST, "project": "my-project", "job_roles": '{"a":"roles/storage.objectViewer"}'},
        [
            ("issuer", "http://issuer.example"),
            ("job_roles", '{"a":"storage.objectViewer"}'),
            ("name", "gcp-pool"),
            ("name", "a-name-that-is-far-too-long"),
            ("project", "123456789012"),
            ("role_arn", "arn:aws:sts::123456789012:assumed-role/a-role/session"),
            ("role_arn", f"{_ACCOUNT}:role/{'r' * 100}"),
        ],
    ),
    "platform-aci": (
        {
            **_TRUST,
            "location": "West Europe",
            "uses": '{"a":"/subscriptions/1/x/virtualNetworks/n/subnets/s"}',
        },
        [
            ("issuer", "issuer.example"),
            ("location", "west-europe"),
            ("name", "-name"),
            ("role_arn", "arn:aws:sts::123456789012:assumed-role/a-role/session"),
            ("uses", '{"a":"/subscriptions/1"}'),
        ],
    ),
}


def main() -> None:
    """What can be done, then what may have to be skipped; raises what goes wrong."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, (good, bad) in _CASES.items():
            _check_variables(folder / f"variables-of-{name}", name, good, bad)
        shutil.copytree(ROOT, folder / "terraform")
        try:
            for name in _CASES:
                _check_module(folder / "terraform/modules" / name)
            _check_example(folder / "terraform/examples/complete")
        except Absent as reason:
            print(f"{', '.join(_CASES)}, examples/complete: not validated, as {reason}")
            sys.exit(_SKIPPED)


def _check_variables(
    folder: Path, name: str, good: Mapping[str, str], bad: list[tuple[str, str]]
) -> None:
    """What the module takes and what it refuses, without anything that it makes."""
    folder.mkdir()
    shutil.copy(ROOT / "modules" / name / "variables.tf", folder)
    for variable, value in [("", ""), *bad]:
        given = {**good, **({variable: value} if variable else {})}
        terraform = terraform_in(folder, _environment(given))
        message = terraform("plan", "-json", expect=1 if variable else 0)
        refused = _refused(message)
        assert refused == ([f'variable "{variable}" {{'] if variable else []), (value, message)
    print(f"--- {name}: its variables take {len(good)} values, and refuse {len(bad)}", flush=True)


def _refused(message: str) -> list[str]:
    """Which variables a plan refuses, by what it says in JSON."""
    lines = [json.loads(line) for line in message.splitlines()]
    found = [line["diagnostic"] for line in lines if line["type"] == "diagnostic"]
    return [diagnostic["snippet"]["code"] for diagnostic in found]


def _check_module(folder: Path) -> None:
    terraform = terraform_in(folder, _environment({}))
    terraform("validate")
    terraform("test")
    print(f"--- {folder.name}: valid, and its own tests pass", flush=True)


def _check_example(folder: Path) -> None:
    terraform_in(folder, _environment({}))("validate")
    print("--- the complete example is valid", flush=True)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_VAR_"))}
    return kept | {f"TF_VAR_{name}": value for name, value in variables.items()}


if __name__ == "__main__":
    main()
