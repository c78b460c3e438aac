#!/usr/bin/env bash
# Does a platform of somebody else work once its package is installed? The example of docs/guides/writing-a-platform.md,
# in an environment of its own, with the wheel of this project.
set -euo pipefail

readonly ENV=.envs/third-party
uv=$(command -v uv || echo .envs/uv/bin/uv) # make has put it there
rm -rf "$ENV"
"$uv" venv --quiet "$ENV"
"$uv" pip install --quiet --python "$ENV/bin/python" ".[cli]" ./examples/push-dispatch-batch-api pytest
"$ENV/bin/push-dispatch" platform ls --json | "$ENV/bin/python" -c '
import json, sys
found = [entry for entry in json.load(sys.stdin) if entry["platform"] == "batch-api"]
assert found and found[0]["installed"], found
print("push-dispatch platform ls shows it")
'
cd examples/push-dispatch-batch-api
"../../$ENV/bin/python" -m pytest -q -p no:cacheprovider tests
