"""`push-dispatch prefect`: serve the work pools of a self-hosted Prefect server."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from push_dispatch.cli.backend import backend
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import dim, print_json, say

if TYPE_CHECKING:
    from push_dispatch.cli.backend import Backend
    from push_dispatch.control.prefect.attachment import Attachment, Bridge
    from push_dispatch.ports.prefect import Address

__all__ = ["app"]

app = App(name="prefect")


@app.command
def attach(
    work_pool: str,
    /,
    *,
    api_url: Annotated[
        str, Parameter(metavar="URL", help="Of the server, such as http://HOST:4200/api.")
    ],
    auth_secret: Annotated[
        str, Parameter(metavar="NAME", help="The secret with user:password (basic auth).")
    ] = "",
    key_secret: Annotated[str, Parameter(metavar="NAME", help="The secret with the API key.")] = "",
    header: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="NAME:VALUE",
            help="Another header; its value may refer to {{ secrets.NAME }}. May be repeated.",
        ),
    ] = (),
    ca_file: Annotated[
        Path | None, Parameter(metavar="FILE", help="Certificates of the authorities to trust.")
    ] = None,
    insecure: Annotated[bool, Parameter(help="Accept any certificate.")] = False,
    name: Annotated[str, Parameter(help="Of our pool; by default the work pool's.")] = "",
    type: Annotated[
        str, Parameter(help="Our platform, where it is not that of the work pool's type.")
    ] = "",
    container_api_url: Annotated[
        str, Parameter(metavar="URL", help="Where flow runs reach the server, if it differs.")
    ] = "",
    hint_url: Annotated[
        str,
        Parameter(
            metavar="URL",
            help="Where the server reaches the prefect function: ad-hoc runs then start at once.",
        ),
    ] = "",
    no_hints: Annotated[bool, Parameter(help="Read the server once a minute only.")] = False,
    common: Common = Common(),
) -> None:
    """Serve a work pool from now on; no worker is needed. Again, to change how.

    Everything is checked before anything is changed.
    """
    from push_dispatch.control.prefect.attach import Wanted, attach as carry_out

    chosen = backend(common)
    wanted = Wanted(
        work_pool,
        _address(api_url, auth_secret, key_secret, header, ca_file, insecure=insecure),
        name=name,
        type=type,
        container_url=container_api_url,
        hint_url="" if no_hints else _hint_url(chosen, hint_url),
        hint_secret=_secret(),
    )
    done = carry_out(_bridge(chosen), wanted)
    for warning in done.warnings:
        dim(f"warning: {warning}")
    if common.json:
        print_json(_shown(done.attachment) | {"version": done.version})
        return
    pool = done.attachment.pool
    say(f"Attached work pool {work_pool!r} of Prefect {done.version} as pool {pool!r}.")
    if not wanted.hint_url:
        dim("→ ad-hoc runs start within a minute: with --hint-url they start at once")


@app.command
def detach(
    name: str,
    /,
    *,
    force: Annotated[bool, Parameter(help="Leave runs that are under way to themselves.")] = False,
    common: Common = Common(),
) -> None:
    """Serve a work pool no longer: what waits goes back to the server, for a worker."""
    from push_dispatch.control.prefect.attach import detach as carry_out

    withdrawn = carry_out(_bridge(backend(common)), name, force=force)
    say(f"Detached {name}; {withdrawn} waiting runs are the server's again.")


@app.command
def status(*, common: Common = Common()) -> None:
    """List the attached pools, and what is wrong with them."""
    from push_dispatch.cli.tables import show_table
    from push_dispatch.control.prefect.attachment import attachments

    found = attachments(backend(common).ports)
    if common.json:
        print_json([_shown(attachment) for attachment in found])
        return
    rows = [
        (a.pool, a.work_pool, a.address.api_url, _state(a), _time(a.mirrored_at), a.problem)
        for a in found
    ]
    titles = ("POOL", "WORK POOL", "SERVER", "STATE", "MIRRORED", "PROBLEM")
    show_table(titles, rows, nothing="No pool is attached to a Prefect server.")


# -- details ----------------------------------------------------------------------------------


def _bridge(chosen: Backend) -> Bridge:
    from push_dispatch.bootstrap import prefect_bridge

    return prefect_bridge(chosen.ports)


def _address(
    api_url: str,
    auth_secret: str,
    key_secret: str,
    header: tuple[str, ...],
    ca_file: Path | None,
    *,
    insecure: bool,
) -> Address:
    from push_dispatch.core.errors import Invalid
    from push_dispatch.ports.prefect import Address

    if auth_secret and key_secret:
        raise Invalid("--auth-secret and --key-secret exclude each other")
    headers = {}
    for line in header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Invalid(f"--header {line!r} is not NAME:VALUE")
        headers[name.strip()] = value.strip()
    return Address(
        api_url.rstrip("/"),
        auth_secret=auth_secret,
        key_secret=key_secret,
        headers=headers,
        ca_file=str(ca_file) if ca_file else "",
        verify=not insecure,
    )


def _hint_url(chosen: Backend, given: str) -> str:
    """Where the server calls us: the runtime's own door, or the function URL of the deployment."""
    if given:
        return given
    return "local" if chosen.local else os.environ.get("PUSH_DISPATCH_PREFECT_URL", "")


def _secret() -> str:
    import secrets

    return secrets.token_hex(32)


def _shown(attachment: Attachment) -> dict[str, object]:
    """The attachment for programs, without what proves that a hint is the server's."""
    hidden = ("hint_secret", "bridge")
    return {k: v for k, v in attachment.document().items() if k not in hidden}


def _state(attachment: Attachment) -> str:
    if attachment.shadow:
        return "shadow"
    return "draining" if attachment.draining else "attached"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else "-"
