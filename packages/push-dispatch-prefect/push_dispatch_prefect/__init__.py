"""Which push work pools does Prefect's command line know? Importing this module registers them.

Prefect imports it at every command (entry-point group `prefect.collections`), so it loads nothing
but what defines a type: a template is read when somebody creates a pool.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from prefect.workers.base import BaseWorker

__all__ = ["TYPES"]

#: The types, each with the platform whose default template it has.
TYPES = {
    "ecs:push": "ecs",
    "cloud-run:push": "cloud-run",
    "cloud-run-v2:push": "cloud-run-v2",
    "azure-container-instance:push": "azure-container-instance",
    "modal:push": "modal",
    "coiled:push": "coiled",
    "vertex-ai:push": "vertex-ai",
    "kubernetes:push": "kubernetes",
}


class _Push(BaseWorker):  # type: ignore[misc, type-arg]
    """A pool that push-dispatch serves: it has no worker."""

    type = "push-dispatch"
    _description = "Served by push-dispatch, without a worker."

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """The template of push-dispatch's own platform."""
        file = files(__name__).joinpath("templates", f"{TYPES[cls.type]}.json")
        template: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return template

    async def run(self, *_: Any, **__: Any) -> Any:
        """Refuse: `worker start --type ecs:push` gets here."""
        raise RuntimeError(
            f"pools of type {self.type} need no worker: push-dispatch prefect attach POOL"
        )


for _type in TYPES:
    # The class registers itself under its type.
    type(f"Push_{_type.replace('-', '_').replace(':', '_')}", (_Push,), {"type": _type})
