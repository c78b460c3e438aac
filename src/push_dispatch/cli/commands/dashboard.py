"""`push-dispatch dashboard`: the page that shows pools, served on this machine."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from push_dispatch.cli.backend import backend
from push_dispatch.cli.commands.local import stop_signals
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import dim, say
from push_dispatch.core.errors import Invalid, Refused
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from push_dispatch.api.client.transport import Transport

__all__ = ["dashboard"]


def dashboard(
    *,
    url: Annotated[
        str | None,
        Parameter(
            metavar="URL",
            help="The ApiUrl of a deployment: requests are signed with your AWS credentials. "
            "Without it, and without a local runtime, they go to the table.",
        ),
    ] = None,
    port: Annotated[
        int, Parameter(converter=whole, metavar="N", help="On 127.0.0.1; by default any.")
    ] = 0,
    no_browser: Annotated[bool, Parameter(help="Print the address, and open nothing.")] = False,
    common: Common = Common(),
) -> None:
    """Show pools in a browser: slots, the line, occupancy, runs; try a limit before it is set.

    A local runtime serves it already. For a deployment, this serves it on 127.0.0.1 until Ctrl-C.
    """
    if not 0 <= port < 2**16:
        raise Invalid(f"--port {port} is not valid: an integer from 0 to 65535")
    with _served(url, port, common) as (address, waits):
        _hand_over(address, opens=not no_browser)
        if waits:
            say("Ctrl-C stops it.")
            sys.stdout.flush()
            with stop_signals() as stopped:
                stopped.wait()


@contextmanager
def _served(url: str | None, port: int, common: Common) -> Iterator[tuple[str, bool]]:
    """Where the page is, token and all, and whether it is gone when this command ends."""
    from push_dispatch.api.dashboard import address
    from push_dispatch.api.dashboard.forward import forwarding

    transport: Transport
    if url is not None:
        transport = _signed(url, common)
    else:
        from push_dispatch.api.client.transport import InProcess

        chosen = backend(common)
        if chosen.local is not None and chosen.local.api:
            if port:
                raise Invalid("--port: the local runtime serves the dashboard on a port of its own")
            yield address(chosen.local.api, chosen.local.token), False
            return
        transport = InProcess(chosen.ports)
    from push_dispatch.api.dashboard import page
    from push_dispatch.local.api_server import ApiServer

    # For this command alone: it is good for nothing afterwards.
    token = secrets.token_urlsafe(32)
    try:
        server = ApiServer(forwarding(transport), token, port, pages=page)
    except OSError as error:
        raise Refused(
            f"port {port} cannot be used: {error.strerror}; try another --port"
        ) from error
    server.start()
    try:
        yield address(server.url, token), True
    finally:
        server.stop()


def _signed(url: str, common: Common) -> Transport:
    import boto3

    from push_dispatch.api.client.transport import Http, sigv4

    if not url.startswith("https://"):
        raise Invalid(f"--url {url!r} is not the https:// URL of an API: the stack's output ApiUrl")
    session = boto3.Session(profile_name=common.profile, region_name=common.region)
    if session.region_name is None:
        raise Invalid(
            "no AWS region is configured: set AWS_REGION or --region", reason=Reason.NO_BACKEND
        )
    if session.get_credentials() is None:
        raise Invalid("there are no AWS credentials to sign with", reason=Reason.NO_BACKEND)
    dim(f"backend: {url}, signed with your AWS credentials")
    return Http(url, sigv4(session, url))


def _hand_over(address: str, *, opens: bool) -> None:
    """Open the page, or print where it is.

    A browser is started with a file that leads there: every user of this machine can read the
    arguments of processes, and the token is none of their business.
    """
    import webbrowser

    from push_dispatch.local.discovery import make_writable, state_dir

    # What is piped may end in a log.
    say(f"dashboard: {address}" if sys.stdout.isatty() or not opens else "opening a browser …")
    sys.stdout.flush()
    if not opens:
        return
    make_writable(state_dir())
    file = state_dir() / "dashboard.html"
    file.touch(mode=0o600)
    file.write_text(_LEADS.format(address=address), "utf-8")
    if not webbrowser.open(file.as_uri()):
        dim("no browser could be opened: --no-browser prints the address")


_LEADS = """<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}"><title>push-dispatch</title>
<a href="{address}">To the dashboard</a>
"""
