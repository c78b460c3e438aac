#!/usr/bin/env bash
# Can the unmodified template be deployed? To an emulator on 127.0.0.1, with the real SAM command line.
set -euo pipefail

make --no-print-directory env-sam env-ministack
.venv/bin/python -m tests.infra.deploy
