#!/usr/bin/env bash
# The tests that are too slow for `make test`: races between processes, whole programs. Those that
# need an environment of their own, or minutes of one kind of search, have steps of their own.
set -euo pipefail

readonly ELSEWHERE=(
  tests/acceptance/test_api_tools.py      # 24
  tests/contract/test_engine_schema.py    # 22
  tests/contract/test_prefect_requests_clouds.py     # 20
  tests/contract/test_prefect_requests_containers.py # 20
  tests/contract/test_prefect_templates.py           # 20
  tests/integration/test_dashboard.py     # 64
  tests/integration/test_prefect_bridge.py  # 22
  tests/integration/test_prefect_package.py # 22
  tests/simulation/test_planted.py        # docs/verification.md: a quiet machine's hour
)

code=0
.venv/bin/pytest -n 2 --dist loadgroup -m "slow and not containers" "${ELSEWHERE[@]/#/--ignore=}" || code=$?
if ((code == 5)); then # pytest: no test was selected
  echo "no test is marked as slow"
  exit 77
fi
exit "$code"
