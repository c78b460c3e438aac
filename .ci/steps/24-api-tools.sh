#!/usr/bin/env bash
# Does schemathesis find nothing on the HTTP API, and does a client that was generated from its
# document work? The tools get an environment of their own; the testing takes 90 s.
set -euo pipefail

if ! make --no-print-directory env-api; then
  echo "The tools could not be installed into .envs/api: is the package index within reach?"
  exit 77
fi
.venv/bin/pytest -m slow tests/acceptance/test_api_tools.py
