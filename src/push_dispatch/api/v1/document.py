"""How does the table of routes read as an OpenAPI 3.1 document?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_origin

import msgspec

from push_dispatch import __version__
from push_dispatch.api.v1 import answers
from push_dispatch.api.v1.http import JSON, PROBLEM
from push_dispatch.api.v1.table import HEADER_LENGTHS, PATH_PATTERNS, TABLE, Nothing, Route

__all__ = ["document"]

_REF = "#/components/schemas/{name}"

_HEADERS = {
    "If-Match": "The ETag that the configuration must still have: otherwise 412.",
    "If-None-Match": "`*`: only if it does not exist yet.",
    "Idempotency-Key": "The same key in the same pool never makes two runs.",
}

_SECURITY = {
    "sigv4": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4, in AWS.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of the local runtime.",
    },
}


@cache
def document() -> dict[str, Any]:
    """Return the document. Its schemas are those of the types that dispatch validates with."""
    kinds = [answers.Problem, *_kinds()]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = dict(zip(map(str, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in TABLE.routes:
        operation = _operation(route, by_kind, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "push-dispatch",
            "version": __version__,
            "description": "Pools, queues, deployments and runs of a push-dispatch system.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"sigv4": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _kinds() -> list[Any]:
    found = [
        kind
        for route in TABLE.routes
        for kind in (route.query, route.body, *route.answers.values())
        if kind not in (None, Nothing)
    ]
    return list({str(kind): kind for kind in found}.values())


def _operation(
    route: Route, by_kind: Mapping[str, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary.partition(". ")[0].removesuffix("."),
        "description": route.summary,
        "tags": [route.segments[1]],
        "parameters": [*_path(route), *_query(route, by_kind, components), *_headers(route)],
        "responses": dict(_responses(route, by_kind)),
    }
    if route.body is not Nothing:
        operation["requestBody"] = {
            "required": route.needs_body,
            "content": {JSON: {"schema": by_kind[str(route.body)]}},
        }
    return operation


def _path(route: Route) -> Iterator[dict[str, Any]]:
    for name in route.parameters:
        schema = {"type": "string", "pattern": PATH_PATTERNS[name]}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(
    route: Route, by_kind: Mapping[str, Any], components: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    if route.query is Nothing:
        return
    name = by_kind[str(route.query)]["$ref"].rpartition("/")[2]
    for field, schema in components[name]["properties"].items():
        # A parameter is absent or has a value: there is no null in a query.
        options = [s for s in schema.get("anyOf", ()) if s != {"type": "null"}]
        plain = {k: v for k, v in schema.items() if k not in ("anyOf", "default")}
        merged = {**plain, **(options[0] if options else {})}
        if schema.get("default") not in (None, []):
            merged["default"] = schema["default"]
        described = {"description": merged["description"]} if "description" in merged else {}
        yield {"name": field, "in": "query", "required": False, "schema": merged, **described}


def _headers(route: Route) -> Iterator[dict[str, Any]]:
    for name in route.headers:
        schema = {"type": "string", "maxLength": HEADER_LENGTHS[name]}
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "schema": schema,
            "description": _HEADERS[name],
        }


def _responses(route: Route, by_kind: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for status, kind in route.answers.items():
        response: dict[str, Any] = {"description": _described(kind)}
        if kind is not None:
            response["content"] = {JSON: {"schema": by_kind[str(kind)]}}
        headers = {}
        if route.etag:
            headers["ETag"] = {
                "description": "The version of the configuration.",
                "schema": {"type": "string"},
            }
        if status == 201:
            headers["Location"] = {"description": "Where it is.", "schema": {"type": "string"}}
        if headers:
            response["headers"] = headers
        yield str(status), response
    problem = {"content": {PROBLEM: {"schema": {"$ref": _REF.format(name="Problem")}}}}
    yield "4XX", {"description": "What is wrong with the request.", **problem}
    yield "5XX", {"description": "The system cannot answer now.", **problem}


def _described(kind: Any) -> str:
    doc = getattr(get_origin(kind) or kind, "__doc__", "") or "The reply."
    return " ".join(doc.split()).partition(". ")[0].removesuffix(".") + "."
