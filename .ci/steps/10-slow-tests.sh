#!/usr/bin/env bash
# The tests that are too slow for `make test`: races between processes, whole programs.
set -euo pipefail

code=0
.venv/bin/pytest -n 2 --dist loadgroup -m "slow and not containers" || code=$?
if ((code == 5)); then # pytest: no test was selected
  echo "no test is marked as slow"
  exit 77
fi
exit "$code"
