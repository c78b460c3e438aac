#!/usr/bin/env bash
# Do base job templates render as Prefect renders them, and are requests those of its workers? Prefect
# gets an environment of its own.
set -euo pipefail

if ! make --no-print-directory env-prefect; then
  echo "Prefect could not be installed into .envs/prefect: is the package index within reach?"
  exit 77
fi
.venv/bin/pytest -m slow tests/contract/test_prefect_templates.py \
  tests/contract/test_prefect_requests_clouds.py tests/contract/test_prefect_requests_containers.py
