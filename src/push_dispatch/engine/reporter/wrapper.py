# mypy: ignore-errors
"""Runs a command and reports on it. Travels inside the job's command, so: standard library only,
Python 3.8, and small. `python3 -c CODE COMMAND…`; see docs/guides/reporter.md for the exit
codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

URL = os.environ.pop("PUSH_DISPATCH_REPORT_URL", "")
TOKEN = os.environ.pop("PUSH_DISPATCH_REPORT_TOKEN", "")
RUN = os.environ.get("PUSH_DISPATCH_RUN_ID", "")
ATTEMPT = int(os.environ.get("PUSH_DISPATCH_ATTEMPT", "1"))
BEAT = float(os.environ.pop("PUSH_DISPATCH_REPORT_SECONDS", "20"))
PATIENCE = float(os.environ.pop("PUSH_DISPATCH_REPORT_PATIENCE", "60"))
GRACE = float(os.environ.get("PUSH_DISPATCH_REPORT_GRACE", "30"))
ME = uuid.uuid4().hex


def leave(code, why):
    sys.stderr.write("push-dispatch reporter: %s\n" % why)
    sys.stderr.flush()
    sys.exit(code)


def post(what, **more):
    body = dict(run=RUN, attempt=ATTEMPT, what=what, by=ME, **more)
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}
    request = urllib.request.Request(URL, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def insist(what, **more):
    """The answer, asked for again while no answer; None if that takes too long."""
    pause, end = 0.2, time.monotonic() + PATIENCE
    while True:
        try:
            return post(what, **more)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                leave(
                    77,
                    "refused: %s %s" % (error.code, error.read()[:300].decode("utf-8", "replace")),
                )
        except (OSError, ValueError):
            pass
        if time.monotonic() + pause > end:
            return None
        time.sleep(pause)
        pause = min(pause * 2, 5)


def main(command):
    address = urllib.parse.urlparse(URL)
    loopback = address.hostname in ("127.0.0.1", "localhost", "::1")
    if address.scheme != "https" and not (address.scheme == "http" and loopback):
        leave(78, "%r must be https" % URL)
    stops = []
    child = None

    def stop(*_):
        stops.append(1)
        if child and child.poll() is None:
            child.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    claimed = insist("claim")
    if claimed is None:
        leave(75, "no answer, so the command was not run")
    if not claimed.get("go"):
        leave(76, "this attempt was taken by another copy, or is over: the command was not run")
    try:
        if not stops:
            child = subprocess.Popen(command)
    except OSError as error:
        code = 127 if error.errno == 2 else 126
        insist("end", exit_code=code)
        leave(code, str(error))
    over = threading.Event()

    def beat():
        while not over.wait(BEAT):
            try:
                if post("beat").get("stop"):
                    stop()
                    if not over.wait(GRACE):
                        child.kill()
            except (OSError, ValueError):
                pass

    if stops:
        stop()
    code = 143
    if child:
        threading.Thread(target=beat, daemon=True).start()
        code = child.wait()
        code = 128 - code if code < 0 else code
    over.set()
    insist("end", exit_code=code)
    sys.exit(code)


main(sys.argv[1:])
