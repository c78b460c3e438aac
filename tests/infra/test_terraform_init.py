"""Can each example be initialised as it stands, not a copy that is made to fit?

`terraform init` takes the providers from a mirror of packages without content: it installs them
and runs none. Whether the examples are valid is seen where the providers are (applied.py and
other_clouds.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "infra/terraform"
EXAMPLES = sorted(folder.name for folder in (ROOT / "examples").iterdir() if folder.is_dir())
TERRAFORM = shutil.which("terraform")


def test_a_module_configures_its_providers_once() -> None:
    for folder in {file.parent for file in ROOT.rglob("*.tf")}:
        text = "".join(file.read_text("utf-8") for file in folder.glob("*.tf"))
        assert len(re.findall(r"^\s*required_providers\b", text, re.MULTILINE)) <= 1, folder


@pytest.mark.slow
@pytest.mark.skipif(TERRAFORM is None, reason="terraform is not installed")
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_initialises_as_it_stands(tmp_path: Path, example: str) -> None:
    shutil.copytree(ROOT, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
    folder = tmp_path / "terraform/examples" / example
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    environ |= {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    mirror = mirror_of(tmp_path / "mirror", environ)
    done = subprocess.run(
        [str(TERRAFORM), "init", "-no-color", "-input=false", f"-plugin-dir={mirror}"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "successfully initialized" in done.stdout
    found = {path.parts[-4] for path in mirror.rglob("terraform-provider-*")}
    assert found >= set(re.findall(r"hashicorp/([a-z]+)", done.stdout)) >= {"aws"}


def mirror_of(folder: Path, environ: dict[str, str]) -> Path:
    """A filesystem mirror with the lowest version of each provider that the modules take."""
    reported = subprocess.run(
        [str(TERRAFORM), "version", "-json"], env=environ, capture_output=True, check=True
    )
    system = json.loads(reported.stdout)["platform"]
    for name, version in lowest():
        package = folder / "registry.terraform.io/hashicorp" / name / version / system
        package.mkdir(parents=True, exist_ok=True)
        program = package / f"terraform-provider-{name}_v{version}"
        program.write_text("")
        program.chmod(0o755)
    return folder


def lowest() -> Iterator[tuple[str, str]]:
    for file in ROOT.rglob("*.tf"):
        for name, version in re.findall(
            r'"hashicorp/([a-z]+)"\s+version\s*=\s*">= ([0-9.]+)', file.read_text("utf-8")
        ):
            yield name, ".".join([*version.split("."), "0", "0"][:3])
