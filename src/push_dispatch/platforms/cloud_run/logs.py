"""What did the attempt write? Cloud Logging knows, also after the job is gone."""

from __future__ import annotations

from collections.abc import Iterator

from push_dispatch.platforms.cloud_run.request import Place
from push_dispatch.platforms.google import logging as google_logging
from push_dispatch.platforms.rest import Rest

__all__ = ["lines"]


def lines(logging: Rest, place: Place) -> Iterator[str]:
    """The lines that the attempt has written, oldest first. Raises Throttled or Uncertain."""
    logs = f"projects/{place.project}/logs/run.googleapis.com"
    conditions = (
        'resource.type="cloud_run_job"',
        f'resource.labels.job_name="{place.name}"',
        f'resource.labels.location="{place.location}"',
        f'labels."run.googleapis.com/execution_name"="{place.execution_id}"',
        # Not the audit log, nor what Cloud Run itself says.
        " OR ".join(f'logName="{logs}%2F{stream}"' for stream in ("stdout", "stderr")).join("()"),
    )
    return google_logging.lines(logging, place.project, " AND ".join(conditions))
