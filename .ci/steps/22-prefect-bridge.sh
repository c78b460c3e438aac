#!/usr/bin/env bash
# Are the work pools of real Prefect servers served as by its own workers? Both versions, each in an
# environment of its own; no worker exists.
set -euo pipefail

if ! make --no-print-directory env-prefect env-prefect-3.9; then
  echo "Prefect could not be installed into .envs: is the package index within reach?"
  exit 77
fi
.venv/bin/pytest -n 2 --dist loadgroup -m slow tests/integration/test_prefect_bridge.py tests/integration/test_prefect_package.py
