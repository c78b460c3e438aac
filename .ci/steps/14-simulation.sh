#!/usr/bin/env bash
# Two hundred simulated stories, the same ones each time: whatever goes wrong, nothing is lost,
# doubled, stuck or over a limit. A broken one prints the command that replays it. Others are for
# `python -m tests.simulation.hunt --seeds A:B`.
set -euo pipefail

.venv/bin/python -m tests.simulation.hunt --seeds 0:200 --processes 2 --seconds 400
