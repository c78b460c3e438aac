#!/usr/bin/env bash
# Can the unmodified template be deployed, and does it work then? To an emulator on 127.0.0.1, with the
# real SAM command line; what the emulator cannot do is listed in tests/infra/tools/deploy.py.
set -euo pipefail

make --no-print-directory env-sam env-ministack
.venv/bin/python -m tests.infra.tools.deploy
