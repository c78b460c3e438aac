"""A client that was generated from the OpenAPI document, at work. Runs in `.envs/api`.

Arguments: the folder with the package `generated`, the URL and the token.
"""
# mypy: ignore-errors

from __future__ import annotations

import json
import sys

folder, url, token = sys.argv[1:]
sys.path.insert(0, folder)

from generated import AuthenticatedClient  # noqa: E402 - the package is in that folder
from generated.api.pools import (  # noqa: E402
    explain_run,
    list_runs,
    put_pool,
    show_overview,
    show_run,
    submit_run,
)
from generated.models import (  # noqa: E402
    Explanation,
    Overview,
    PageRun,
    Pool,
    PoolSettings,
    Problem,
    Run,
    Submission,
    Submitted,
)

api = AuthenticatedClient(base_url=url, token=token, timeout=60)
pool = put_pool.sync("generated", client=api, body=PoolSettings(type_="process", limit=2))
assert isinstance(pool, Pool), pool
assert pool.queues[0].name == "default"

body = Submission.from_dict({"job_variables": {"command": "true"}, "tags": ["a"]})
done = submit_run.sync("generated", client=api, body=body, idempotency_key="k")
assert isinstance(done, Submitted), done
assert done.created

run = show_run.sync("generated", done.run.id, client=api, wait=20)
assert isinstance(run, Run), run
assert run.state == "COMPLETED", run.state
assert run.attempts[0].exit_code == 0

page = list_runs.sync("generated", client=api, tag="a", limit=1)
assert isinstance(page, PageRun), page
assert [found.id for found in page.items] == [run.id]

assert isinstance(explain_run.sync("generated", run.id, client=api), Explanation)
assert isinstance(show_overview.sync("generated", client=api), Overview)
refused = put_pool.sync_detailed("generated", client=api, body=PoolSettings(type_="ecs"))
assert refused.status_code == 409
problem = Problem.from_dict(json.loads(refused.content))
assert problem.reason == "pool_exists"
print("ok")
