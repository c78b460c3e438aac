#!/usr/bin/env bash
# Does docs/guides/deploy.md work, command by command, for somebody who deploys with SAM and for somebody who
# deploys with Terraform? Against emulators on 127.0.0.1; the second waits for the first's output only.
set -euo pipefail

make --no-print-directory env-aws env-sam env-ministack
output=$(mktemp)
trap 'rm -f "$output"' EXIT
.venv/bin/python -m tests.infra.tools.walk Terraform >"$output" 2>&1 &
terraform=$!
code=0
.venv/bin/python -m tests.infra.tools.walk SAM || code=$?
second=0
wait "$terraform" || second=$?
cat "$output"
((code)) && exit "$code"
exit "$second"
