"""How are attempts started, watched and stopped on Google Cloud Run?

`adapter` has the verbs; `request` and `v1` make the job, `verdict` reads its execution, `refusal`
has the table of errors, `clients` the way to Google, `logs` the log and `cost` the price.
"""

from __future__ import annotations

from push_dispatch.platforms.cloud_run.adapter import CloudRun
from push_dispatch.platforms.cloud_run.refusal import ERRORS

__all__ = ["ERRORS", "CloudRun"]
