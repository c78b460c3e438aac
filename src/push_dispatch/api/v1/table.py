"""Which routes are there? One table dispatches requests and describes itself as OpenAPI.

A route's handler takes a `Call[Query, Body]`: the two types validate what comes in and are its
schema in the document, so that document and behaviour cannot differ.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar, get_args, get_type_hints
from urllib.parse import unquote

import msgspec
from msgspec import Struct, inspect

from push_dispatch.api.v1.http import JSON, Reply, Request, problem, problem_of
from push_dispatch.core.bounds import NAME, parse_json
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.reasons import Reason
from push_dispatch.ports import Ports

__all__ = [
    "HEADER_LENGTHS",
    "PATH_PATTERNS",
    "TABLE",
    "Answer",
    "Call",
    "Nothing",
    "Route",
    "Table",
]

Query = TypeVar("Query")
Body = TypeVar("Body")

#: What each parameter of a path may be. Others are any text.
PATH_PATTERNS = {
    "pool": NAME,
    "queue": NAME,
    "deployment": NAME,
    "schedule": NAME,
    "run": r"^([A-Za-z0-9][A-Za-z0-9_-]{0,62}\.)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "reason": "^[a-z][a-z_]{0,62}$",
    "type": "^[a-z0-9][a-z0-9:_-]{0,62}$",
}


#: Headers that routes take, and the longest values: an idempotency key gets a number in a batch.
HEADER_LENGTHS = {"If-Match": 200, "If-None-Match": 200, "Idempotency-Key": 490}


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No query, or no body."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Query, Body]):
    """A request that fits its route."""

    ports: Ports
    path: Mapping[str, str]
    query: Query
    body: Body
    headers: Mapping[str, str]
    #: Sleeps for so many seconds.
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns: a value of the type that its route declares."""

    value: Any
    #: If it is not the route's first one.
    status: int | None = None
    #: Names this version of the configuration.
    etag: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One operation."""

    method: str
    path: str
    summary: str
    handle: Callable[[Call[Any, Any]], Answer]
    query: type[Struct]
    body: type[Struct]
    #: What it answers, by status; the first one is the usual. None is no body.
    answers: Mapping[int, Any]
    #: Headers that it takes beside the body.
    headers: tuple[str, ...] = ()
    etag: bool = False

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.handle.__name__

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters."""
        return tuple(s[1:-1] for s in self.segments if s.startswith("{"))

    @property
    def needs_body(self) -> bool:
        """Whether an empty body is an error."""
        return any(f.required for f in msgspec.structs.fields(self.body))

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The parameters in a path; None if it is another one's."""
        own = self.segments
        if len(own) != len(segments):
            return None
        found = {}
        for mine, theirs in zip(own, segments, strict=True):
            if mine.startswith("{"):
                found[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return found


@dataclass(slots=True)
class Table:
    """The routes, in the order of the documentation."""

    routes: list[Route] = field(default_factory=list)

    def route(
        self,
        method: str,
        path: str,
        answers: Mapping[int, Any],
        *,
        headers: tuple[str, ...] = (),
        etag: bool = False,
    ) -> Callable[[Callable[[Call[Any, Any]], Answer]], Callable[[Call[Any, Any]], Answer]]:
        """Add a handler; the first paragraph of its docstring is the summary."""

        def add(handle: Callable[[Call[Any, Any]], Answer]) -> Callable[[Call[Any, Any]], Answer]:
            query, body = get_args(get_type_hints(handle)["call"])
            summary = " ".join((handle.__doc__ or "").split())
            self.routes.append(
                Route(method, path, summary, handle, query, body, answers, headers, etag)
            )
            return handle

        return add

    def answer(
        self, ports: Ports, request: Request, *, sleep: Callable[[float], None] = time.sleep
    ) -> Reply:
        """The reply to a request; never raises for what a caller has sent."""
        # Decoded afterwards: a slash inside a name does not make another path.
        segments = [unquote(part) for part in request.path.removeprefix("/").split("/")]
        found = _closest([(r, p) for r in self.routes if (p := r.match(segments)) is not None])
        fits = next(((r, p) for r, p in found if r.method == request.method), None)
        if fits is None:
            return _no_route(request, [route.method for route, _ in found])
        route, path = fits
        try:
            call = _call(ports, route, path, request, sleep)
        except _Malformed as error:
            return problem(error.status, Reason.INVALID_INPUT, str(error))
        try:
            return _reply(route, route.handle(call))
        except PushDispatchError as error:
            return problem_of(error)


def _closest(found: list[tuple[Route, dict[str, str]]]) -> list[tuple[Route, dict[str, str]]]:
    """Those whose path has the fewest parameters: `runs/cancel` is no run."""
    fewest = min((len(path) for _, path in found), default=0)
    return [(route, path) for route, path in found if len(path) == fewest]


class _Malformed(Exception):
    """The request does not fit its route."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def _no_route(request: Request, methods: Sequence[str]) -> Reply:
    if methods:
        allow = ", ".join(sorted(set(methods)))
        detail = f"{request.path} takes {allow}, not {request.method}"
        return problem(405, Reason.INVALID_INPUT, detail, {"Allow": allow})
    there = f", but {moved}" if (moved := _in_version_1(request.path)) else ""
    detail = f"there is no {request.path}{there}; GET /v1/openapi.json lists all paths"
    return problem(404, Reason.NOT_FOUND, detail)


def _in_version_1(path: str) -> str:
    """Where to find what an API without versions had at this path; empty if it had nothing."""
    first, _, rest = path.removeprefix("/").partition("/")
    if first == "runs":
        pool, dot, _ = rest.partition(".")
        return f"/v1/pools/{pool if dot else '{pool}'}{path}"
    return f"/v1{path}" if first in ("pools", "openapi.json") else ""


def _call(
    ports: Ports,
    route: Route,
    path: Mapping[str, str],
    request: Request,
    sleep: Callable[[float], None],
) -> Call[Any, Any]:
    for name, value in path.items():
        if (pattern := PATH_PATTERNS.get(name)) and not re.fullmatch(pattern[1:-1], value):
            raise _Malformed(f"{name} {value[:80]!r} in the path is not valid: {pattern}")
    for header in route.headers:
        if len(request.headers.get(header.lower(), "")) > HEADER_LENGTHS[header]:
            raise _Malformed(f"{header} has more than {HEADER_LENGTHS[header]} characters")
    query = _query(route.query, request.query)
    body = _body(route, request)
    return Call(ports, path, query, body, request.headers, sleep)


def _query(kind: type[Struct], given: Mapping[str, tuple[str, ...]]) -> Any:
    lists = {f.name for f in msgspec.structs.fields(kind) if f.name in given and _is_list(f.type)}
    values = {name: list(v) if name in lists else v[-1] for name, v in given.items()}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _Malformed(f"the query is not valid: {_plain(error)}") from error


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is list or any(
        getattr(part, "__origin__", None) is list for part in get_args(kind)
    )


def _body(route: Route, request: Request) -> Any:
    if not request.body:
        if route.needs_body:
            raise _Malformed("a body with a JSON object is expected")
        return route.body()
    if route.body is Nothing:
        return Nothing()
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON and not media.endswith("+json"):
        raise _Malformed(f"the body is {media[:80]!r}: send {JSON}", 415)
    try:
        return msgspec.convert(_wholes(parse_json(request.body), _info(route.body)), route.body)
    except msgspec.ValidationError as error:
        raise _Malformed(f"the body is not valid: {_plain(error)}") from error
    except (ValueError, RecursionError) as error:
        raise _Malformed(f"the body is not the JSON that is expected: {error}") from error


@cache
def _info(kind: type[Struct]) -> inspect.Type:
    return inspect.type_info(kind)


def _wholes(value: Any, kind: inspect.Type) -> Any:
    """The value with integers where JSON Schema takes 5.0 for one; data of the user stays as it
    is."""
    match kind:
        case inspect.UnionType():
            for option in kind.types:
                value = _wholes(value, option)
            return value
        case inspect.Metadata():
            return _wholes(value, kind.type)
        case inspect.IntType() if isinstance(value, float) and value.is_integer():
            return int(value)
        case inspect.ListType() if isinstance(value, list):
            return [_wholes(item, kind.item_type) for item in value]
        case inspect.DictType() if isinstance(value, dict):
            return {name: _wholes(item, kind.value_type) for name, item in value.items()}
        case inspect.StructType() if isinstance(value, dict):
            known = {field.name: field.type for field in kind.fields}
            return {n: _wholes(v, known[n]) if n in known else v for n, v in value.items()}
        case _:
            return value


def _plain(error: msgspec.ValidationError) -> str:
    return str(error).replace("`$.", "`").replace("`", "'")


def _reply(route: Route, answer: Answer) -> Reply:
    status = answer.status or next(iter(route.answers))
    headers = {}
    if answer.etag is not None:
        headers["ETag"] = f'"{answer.etag}"'
    if answer.location is not None:
        headers["Location"] = answer.location
    body = b"" if route.answers[status] is None else msgspec.json.encode(answer.value)
    return Reply(status, body, headers)


#: The table of version 1; `push_dispatch.api.v1` fills it.
TABLE = Table()
