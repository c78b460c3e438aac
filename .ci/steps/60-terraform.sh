#!/usr/bin/env bash
# Is infra/terraform well-formed, and does what it applies work? In an emulator on 127.0.0.1.
set -euo pipefail

if ! command -v terraform >/dev/null; then
  echo "terraform is not installed"
  exit 77
fi
make --no-print-directory env-ministack
.venv/bin/python -m tests.infra.tools.applied
