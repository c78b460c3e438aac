"""How are Prefect's own classes asked, which are installed in an environment of their own?"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.prefect import differences

__all__ = ["ask"]

_ROOT = Path(__file__).parents[3]
_PYTHON = _ROOT / ".envs/prefect/bin/python"


def ask(
    script: str, cases: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The script's answers to the cases that are made of its templates by type. Skips the test if
    Prefect is not installed."""
    if not _PYTHON.exists():
        pytest.skip("Prefect is not installed: run `make env-prefect` for .envs/prefect")
    process = subprocess.Popen(
        [_PYTHON, _ROOT / "tests/contract/prefect" / script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PROBE": differences.PROBE, "PYTHONWARNINGS": "ignore"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    received = cases(json.loads(process.stdout.readline()))
    output, _ = process.communicate(json.dumps(received) + "\n")
    assert process.returncode == 0
    answers: list[dict[str, Any]] = json.loads(output)
    errors = [answer["error"] for answer in answers if "error" in answer]
    assert not errors, errors
    return answers
