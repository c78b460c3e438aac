"""What would be sent to the platform for a request, and where does each value come from?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from push_dispatch.cli.output import console, print_json
from push_dispatch.core.request import Request
from push_dispatch.insight.render import leaves, rendered
from push_dispatch.ports import Ports

__all__ = ["show_request"]


def show_request(ports: Ports, request: Request, *, as_json: bool) -> None:
    """Print the job that a request would send. Raises Invalid, NotFound as submitting would."""
    document = rendered(ports, request)
    if as_json:
        print_json(document)
        return
    _show(document)


def _show(document: Mapping[str, Any]) -> None:
    from push_dispatch.cli.tables import show_facts, show_table

    show_facts((name, document[name]) for name in ("pool", "queue", "deployment", "platform"))
    console().print()
    rows = [
        (path, json.dumps(value, ensure_ascii=False), document["provenance"][path])
        for path, value in leaves(document["configuration"])
    ]
    rows += [
        (f"env.{variable}", f"{{{{ secrets.{name} }}}}", "by reference")
        for variable, name in document["secrets"].items()
    ]
    show_table(("CONFIGURATION", "VALUE", "FROM"), rows, nothing="The configuration is empty.")
    if document["enforced"]:
        console().print()
        locked = [
            (name, "nothing" if allowed is True else json.dumps(allowed))
            for name, allowed in document["enforced"].items()
        ]
        show_table(("ENFORCED", "ALLOWED INSTEAD"), locked)
