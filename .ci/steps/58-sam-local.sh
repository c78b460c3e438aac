#!/usr/bin/env bash
# Does `sam local invoke` work with each file in events/? In containers, with an image built on the spot.
set -euo pipefail

make --no-print-directory env-sam env-ministack
# The engine is the one that 40-containers installs: where that step is skipped, so is this one.
if ! said=$(.venv/bin/python -m tests.engine 2>&1); then
  echo "$said"
  echo "no container can be run here, so sam local invoke was not tried: $(tail -n 1 <<<"$said")"
  exit 77
fi
.venv/bin/python -m tests.infra.tools.sam_local
