"""Which files does the dashboard consist of, and under which rules does a browser show them?

They are as they were written: no build step, nothing from elsewhere. They hold no data; for that
the page asks the API, with the token that was handed over behind the `#` of its address: browsers
send that part to no server.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from push_dispatch.api.v1.http import Reply

__all__ = ["FILES", "address", "page"]

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: By the path under which each is served.
FILES: Mapping[str, str] = {
    "/": "index.html",
    "/icon.svg": "icon.svg",
    "/style.css": "style.css",
    **{
        f"/{name}.js": f"{name}.js"
        for name in ("app", "chart", "dom", "drawer", "panels", "state", "whatif")
    },
}
#: No script but its own files, no other server, in no other page's frame.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


def page(path: str) -> Reply | None:
    """The file under this path; None if the dashboard has none there."""
    name = FILES.get(path)
    return None if name is None else _reply(name)


def address(url: str, token: str) -> str:
    """What to open in a browser: the token is in the part that is sent to no server."""
    return f"{url.rstrip('/')}/#token={token}"


@cache
def _reply(name: str) -> Reply:
    body = files(__name__).joinpath(name).read_bytes()
    return Reply(200, body, _HEADERS, _TYPES[name.rpartition(".")[2]])
