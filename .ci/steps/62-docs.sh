#!/usr/bin/env bash
# Does the documentation site build without a warning? Links and anchors are checked by the build.
set -euo pipefail
make --no-print-directory docs
[[ -s build/site/llms.txt ]]
