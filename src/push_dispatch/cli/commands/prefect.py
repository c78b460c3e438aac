"""`push-dispatch prefect`: serve the work pools of a self-hosted Prefect server."""

from __future__ import annotations

import os
from dataclasses import replace
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
    from push_dispatch.control.prefect.shadow import Comparison, Shadow
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
            help="Another header of each request, if it is no secret. May be repeated.",
        ),
    ] = (),
    headers_secret: Annotated[
        str, Parameter(metavar="NAME", help="The secret with a JSON object of further headers.")
    ] = "",
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
    """Serve a work pool without a worker. Repeat it to change its options.

    Everything is checked before anything is changed.
    """
    from push_dispatch.control.prefect.attach import Wanted, attach as carry_out

    chosen = backend(common)
    wanted = Wanted(
        work_pool,
        replace(
            _address(api_url, auth_secret, key_secret, header, headers_secret),
            ca_file=str(ca_file or ""),
            verify=not insecure,
        ),
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
    if chosen.local is None:
        dim("→ push-dispatch prefect status tells whether the function serves it (EnablePrefect)")
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
    """Stop serving a work pool: waiting runs go back to the server, for a worker."""
    from push_dispatch.control.prefect.attach import detach as carry_out

    withdrawn = carry_out(_bridge(backend(common)), name, force=force)
    say(f"Detached {name}; {withdrawn} waiting runs are the server's again.")


@app.command
def shadow(
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
    during: Annotated[
        str, Parameter(metavar="DURATION", help="How long to watch; Ctrl-C ends it before.")
    ] = "1h",
    every: Annotated[str, Parameter(metavar="DURATION", help="Between two polls.")] = "5s",
    common: Common = Common(),
) -> None:
    """Watch what a worker does with a work pool, and compare: nothing is changed.

    Decides as push-dispatch would, on the runs as they come, and reports minutes late, inversions
    of priority and limits that were exceeded.
    """
    from dataclasses import asdict

    from push_dispatch.control.prefect.attach import refusals
    from push_dispatch.control.prefect.shadow import Shadow

    chosen = backend(common)
    bridge = _bridge(chosen)
    address = _address(api_url, auth_secret, key_secret)
    played = Shadow(refused=refusals(bridge, address, work_pool))
    _watch(bridge, address, work_pool, played, during=during, every=every)
    found = played.compare()
    if common.json:
        print_json(asdict(found) | {"saved_seconds": found.saved_seconds})
        return
    for line in _lines(found):
        say(line)


@app.command
def status(*, common: Common = Common()) -> None:
    """List the attached pools, and what is wrong with them."""
    from push_dispatch.cli.tables import show_table
    from push_dispatch.control.prefect.attachment import attachments, problem_of

    ports = backend(common).ports
    found = [(a, problem_of(a, ports.clock())) for a in attachments(ports)]
    if common.json:
        print_json([_shown(attachment) | {"problem": problem} for attachment, problem in found])
        return
    rows = [
        (a.pool, a.work_pool, a.address.api_url, _state(a), _time(a.mirrored_at), problem)
        for a, problem in found
    ]
    titles = ("POOL", "WORK POOL", "SERVER", "STATE", "MIRRORED", "PROBLEM")
    show_table(titles, rows, nothing="No pool is attached to a Prefect server.")


# -- shadow -----------------------------------------------------------------------------------


def _watch(
    bridge: Bridge, address: Address, work_pool: str, played: Shadow, *, during: str, every: str
) -> None:
    from push_dispatch.cli.commands.local import stop_signals
    from push_dispatch.cli.times import duration
    from push_dispatch.control.prefect.shadow import poll
    from push_dispatch.core.errors import Unavailable

    until = bridge.ports.clock() + duration(during, "--during") * 1000
    pause = duration(every, "--every")
    with stop_signals() as stopped:
        while bridge.ports.clock() < until and not stopped.is_set():
            try:
                poll(bridge.server(address), work_pool, played, bridge.ports.clock())
            except Unavailable as error:
                dim(f"not seen: {error.message}")
            stopped.wait(pause)


def _lines(found: Comparison) -> list[str]:
    late, ours = found.worker_late_seconds, found.our_late_seconds
    saved, over = found.saved_seconds / 60, found.over_admitted_polls
    refused = [f"  {each}" for each in found.refused]
    return [
        f"{found.runs} runs seen in {found.polls} polls, {found.started} of them started",
        f"late in all, the worker        {late:.1f} s (one run: {found.worst_late_seconds:.1f} s)",
        f"late in all, push-dispatch     {ours:.1f} s ({saved:.1f} minutes saved)",
        f"limits exceeded, the worker    at {over} polls, by {found.most_over} at most",
        f"passed over, the worker        {found.inversions} runs of a higher priority",
        f"would have been refused        {'' if refused else 'nothing'}",
        *refused,
    ]


# -- details ----------------------------------------------------------------------------------


def _bridge(chosen: Backend) -> Bridge:
    from push_dispatch.bootstrap import prefect_bridge

    return prefect_bridge(chosen.ports)


def _address(
    api_url: str,
    auth_secret: str,
    key_secret: str,
    header: tuple[str, ...] = (),
    headers_secret: str = "",
) -> Address:
    from push_dispatch.core.errors import Invalid
    from push_dispatch.ports.prefect import Address

    if auth_secret and key_secret:
        raise Invalid("--auth-secret and --key-secret exclude each other")
    if header and headers_secret:
        raise Invalid("--header and --headers-secret exclude each other: put all into the secret")
    headers = {}
    for line in header:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Invalid(f"--header {line!r} is not NAME:VALUE")
        if "secrets." in value:
            raise Invalid("--header takes no secret: put all headers into one, --headers-secret")
        headers[name.strip()] = value.strip()
    return Address(
        api_url.rstrip("/"),
        auth_secret=auth_secret,
        key_secret=key_secret,
        headers=headers,
        headers_secret=headers_secret,
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
    return "draining" if attachment.draining else "attached"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if at else "-"
