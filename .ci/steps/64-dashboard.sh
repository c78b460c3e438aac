#!/usr/bin/env bash
# Does the dashboard work in a browser? Playwright drives it against a local runtime with 500 runs;
# pictures are left in build/dashboard.
set -euo pipefail

if ! make --no-print-directory env-dashboard; then
  echo "Playwright could not be installed into .envs: is the package index within reach?"
  exit 77
fi
if [[ -z ${CHROMIUM:-} ]] && ! command -v chromium google-chrome >/dev/null; then
  # Its own, which needs the system's libraries: those are for the administrator to install.
  if ! timeout 300 .envs/dashboard/bin/playwright install --only-shell chromium; then
    echo "no Chromium, and none could be had: install it (apt-get install chromium), or set CHROMIUM"
    exit 77
  fi
fi
timeout 600 .venv/bin/pytest -m slow tests/integration/test_dashboard.py
