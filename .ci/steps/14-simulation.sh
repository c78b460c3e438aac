#!/usr/bin/env bash
# Two minutes of simulated stories, others each day: whatever goes wrong, nothing is lost, doubled,
# stuck or over a limit. A broken one prints the command that replays it.
set -euo pipefail

readonly SECONDS_IN_ALL=120
first=$(($(date +%j | sed 's/^0*//') * 100000))
.venv/bin/python -m tests.simulation.hunt --seeds "$first:$((first + 100000))" --processes 2 --seconds "$SECONDS_IN_ALL"
