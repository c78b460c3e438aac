"""A job for the quick start: it works for a while, says so, and may fail on request."""

from __future__ import annotations

import argparse
import os
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--day", default="today")
parser.add_argument("--seconds", type=float, default=1)
parser.add_argument("--fail", action="store_true", help="exit with 1 at the end")
options = parser.parse_args()

print(f"{os.environ['PUSH_DISPATCH_RUN_ID']}: working on {options.day}", flush=True)
time.sleep(options.seconds)
if options.fail:
    sys.exit("failed on request")
print("done")
