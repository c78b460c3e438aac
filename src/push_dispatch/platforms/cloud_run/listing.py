"""Which executions are there in a region? One request instead of one per attempt."""

from __future__ import annotations

from collections.abc import Iterable

from google.api_core import exceptions as sdk
from google.cloud import run_v2

from push_dispatch.core.errors import PlatformError
from push_dispatch.platforms.cloud_run.clients import Clients

__all__ = ["executions_of"]

_PAGE = 1000
#: The region may hold many executions of others: what is on no page is asked for by its name.
_PAGES = 3


def executions_of(clients: Clients, parents: Iterable[str]) -> dict[str, run_v2.Execution]:
    """Executions of all jobs in `parents` by id, which is unique as a run's is: not necessarily
    all of them, and none of a region that cannot be listed now."""
    found: dict[str, run_v2.Execution] = {}
    for parent in parents:
        try:
            found |= _listed(clients, parent)
        except (sdk.GoogleAPIError, PlatformError):
            continue
    return found


def _listed(clients: Clients, parent: str) -> dict[str, run_v2.Execution]:
    found: dict[str, run_v2.Execution] = {}
    token = ""
    for _ in range(_PAGES):
        request = run_v2.ListExecutionsRequest(
            parent=f"{parent}/jobs/-", page_size=_PAGE, page_token=token
        )
        page = next(iter(clients.ask("executions", "list_executions", request).pages))
        found |= {e.name.rpartition("/")[2]: e for e in page.executions}
        token = page.next_page_token
        if not token:
            break
    return found
