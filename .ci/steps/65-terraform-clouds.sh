#!/usr/bin/env bash
# Are Terraform's modules for Google Cloud and Azure valid? Their own tests run with mocked providers.
set -euo pipefail

if ! command -v terraform >/dev/null; then
  echo "terraform is not installed"
  exit 77
fi
.venv/bin/python -m tests.infra.tools.other_clouds
