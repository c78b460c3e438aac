"""What does a Terraform module consist of, for given variables? Evaluated without Terraform.

Of the language there is as much as infra/terraform uses; of functions, too. What only the provider
knows, such as an ARN, is a `Ref`, which reads `<address.attribute>` wherever it is put.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any

import hcl2
from lark import Token, Tree

__all__ = ["Block", "Names", "Ref", "blocks", "parse", "typed", "value"]

Node = Tree[Token]
Names = Mapping[str, Any]


class Ref(str):
    """An attribute, or a whole resource, that is not known before it exists."""

    __slots__ = ()

    def attribute(self, name: str) -> Ref:
        return Ref(f"{self[:-1]}.{name}>")


class Block:
    """A block such as `resource "aws_sqs_queue" "queue" {}`: its labels, and what is in it."""

    def __init__(self, node: Node) -> None:
        *heads, body = _parts(node)
        self.type, *self.labels = [_name(head) for head in heads]
        self.attributes = {
            _name(_parts(child)[0]): _parts(child)[1]
            for child in _parts(body)
            if child.data == "attribute"
        }
        self.blocks = [Block(child) for child in _parts(body) if child.data == "block"]

    def evaluate(self, names: Names) -> dict[str, Any]:
        """Attributes, and nested blocks as lists by type. What steers Terraform is left out."""
        found = {
            name: value(node, names)
            for name, node in self.attributes.items()
            if name not in {"count", "for_each", "depends_on", "provider", "source"}
        }
        for block in self.blocks:
            if block.type == "dynamic":
                found.setdefault(block.labels[0], []).extend(block._repeated(names))
            elif block.type != "lifecycle":
                found.setdefault(block.type, []).append(block.evaluate(names))
        return found

    def _repeated(self, names: Names) -> Iterator[dict[str, Any]]:
        [content] = self.blocks
        for key, each in _items(value(self.attributes["for_each"], names)):
            yield content.evaluate({**names, self.labels[0]: {"key": key, "value": each}})


@cache
def parse(text: str) -> Node:
    """The syntax tree of a file. Raises lark's UnexpectedInput."""
    return hcl2.parses_to_tree(text)


def blocks(text: str) -> list[Block]:
    """The blocks of a file, in their order."""
    [body] = _parts(parse(text))
    return [Block(child) for child in _parts(body)]


def value(node: Node, names: Names) -> Any:
    """What an expression is. Raises LookupError, TypeError or ValueError if it is nothing."""
    evaluate = _EXPRESSIONS.get(node.data)
    if evaluate is None:
        raise ValueError(f"not understood: {node.data}")
    return evaluate(node, names)


def typed(node: Node, given: Any) -> Any:
    """A value of a variable, completed by the defaults of the optional attributes in its type."""
    [term] = _parts(node) if node.data == "expr_term" else [node]
    if given is None or term.data != "function_call":
        return given
    kind, arguments = _parts(term)
    [inner, *_] = _parts(arguments)
    match _name(kind):
        case "object":
            [fields] = _parts(inner)
            return {
                _key(key, {}): _field(type_, given, _key(key, {}))
                for key, type_ in map(_parts, _parts(fields))
            }
        case "map":
            return {key: typed(inner, member) for key, member in given.items()}
        case "list":
            return [typed(inner, member) for member in given]
    raise ValueError(f"not understood: the type {_name(kind)}")


def _field(node: Node, given: Mapping[str, Any], name: str) -> Any:
    [term] = _parts(node)
    if term.data != "function_call" or _name(_parts(term)[0]) != "optional":
        return typed(node, given[name])
    type_, *default = _parts(_parts(term)[1])
    if given.get(name) is not None:
        return typed(type_, given[name])
    return value(default[0], {}) if default else None


def _parts(node: Node) -> list[Node]:
    return [
        child
        for child in node.children
        if isinstance(child, Tree) and child.data != "new_line_or_comment"
    ]


def _tokens(node: Node) -> list[str]:
    return [str(child) for child in node.children if isinstance(child, Token)]


def _name(node: Node) -> str:
    """An identifier, a keyword, or a label in quotation marks."""
    if node.data == "string":
        return "".join(_tokens(part)[0] for part in _parts(node))
    return _tokens(node)[0]


def _items(collection: Any) -> list[tuple[Any, Any]]:
    """Keys and values, as `for` and `for_each` see them."""
    if isinstance(collection, Mapping):
        return list(collection.items())
    if isinstance(collection, set):
        return [(member, member) for member in sorted(collection)]
    return list(enumerate(collection))


# -- expressions ----------------------------------------------------------------------------------


def _only(node: Node, names: Names) -> Any:
    [part] = _parts(node)
    return value(part, names)


def _literal(node: Node, _: Names) -> Any:
    return {"true": True, "false": False, "null": None}[_tokens(node)[0]]


def _number(node: Node, _: Names) -> Any:
    return json.loads(_tokens(node)[0])


def _string(node: Node, names: Names) -> Any:
    parts = [_string_part(part, names) for part in _parts(node)]
    if any(part is None for part in parts):
        raise TypeError("null in a string")
    return parts[0] if len(parts) == 1 else "".join(map(str, parts))


def _string_part(node: Node, names: Names) -> Any:
    if inner := _parts(node):
        return _only(inner[0], names)
    return json.loads(f'"{_tokens(node)[0]}"')


def _tuple(node: Node, names: Names) -> list[Any]:
    return [value(part, names) for part in _parts(node)]


def _object(node: Node, names: Names) -> dict[str, Any]:
    elements = [_parts(element) for element in _parts(node)]
    return {_key(key, names): value(held, names) for key, held in elements}


def _key(node: Node, names: Names) -> Any:
    [term] = _parts(node)
    inner = _parts(term)[0] if term.data == "expr_term" else term
    if inner.data == "identifier" and "(" not in _tokens(term):
        return _name(inner)
    return value(term, names)


def _identifier(node: Node, names: Names) -> Any:
    return names[_name(node)]


def _attribute(node: Node, names: Names) -> Any:
    held, attribute = _parts(node)
    return _member(value(held, names), _name(_parts(attribute)[0]))


def _index(node: Node, names: Names) -> Any:
    held, index = _parts(node)
    return _member(value(held, names), _only(index, names))


def _splat(node: Node, names: Names) -> list[Any]:
    """`x[*].a`: of null nothing, of anything but a list that one thing."""
    held, splat = _parts(node)
    of = value(held, names)
    members = [] if of is None else of if isinstance(of, list) else [of]
    for part in _parts(splat):
        members = [_member(member, _name(_parts(part)[0])) for member in members]
    return members


def _member(held: Any, key: Any) -> Any:
    if isinstance(held, Ref):
        return held.attribute(key)
    if held is None:
        raise TypeError(f"null has no {key!r}")
    return held[key]


def _conditional(node: Node, names: Names) -> Any:
    condition, yes, no = _parts(node)
    return value(yes if value(condition, names) else no, names)


def _binary(node: Node, names: Names) -> Any:
    left, term = _parts(node)
    sign, right = _parts(term)
    return _OPERATORS[_tokens(sign)[0]](value(left, names), value(right, names))


def _unary(node: Node, names: Names) -> Any:
    held = _only(node, names)
    return not held if _tokens(node) == ["!"] else -held


def _for_tuple(node: Node, names: Names) -> list[Any]:
    intro, result, *_ = _parts(node)
    return [value(result, inner) for inner in _rounds(node, intro, names)]


def _for_object(node: Node, names: Names) -> dict[str, Any]:
    intro, key, result, *_ = _parts(node)
    rounds = _rounds(node, intro, names)
    return {value(key, inner): value(result, inner) for inner in rounds}


def _rounds(node: Node, intro: Node, names: Names) -> Iterator[Names]:
    *variables, collection = _parts(intro)
    bound = [_name(variable) for variable in variables]
    condition = [part for part in _parts(node) if part.data == "for_cond"]
    for item in _items(value(collection, names)):
        inner = {**names, **dict(zip(bound, item[-len(bound) :], strict=True))}
        if all(_only(part, inner) for part in condition):
            yield inner


def _call(node: Node, names: Names) -> Any:
    function, *given = _parts(node)
    arguments = _parts(given[0]) if given else []
    if _name(function) == "try":
        return _first_that_works(arguments, names)
    return _FUNCTIONS[_name(function)](*[value(argument, names) for argument in arguments])


def _first_that_works(arguments: list[Node], names: Names) -> Any:
    for argument in arguments[:-1]:
        try:
            return value(argument, names)
        except (LookupError, TypeError):
            continue
    return value(arguments[-1], names)


def _flatten(members: Any) -> list[Any]:
    return list(chain.from_iterable(_flatten(m) if isinstance(m, list) else [m] for m in members))


def _one(members: Any) -> Any:
    return next(iter(members), None)


def _merge(*maps: Mapping[str, Any]) -> dict[str, Any]:
    return {key: held for each in maps for key, held in each.items()}


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "&&": lambda left, right: left and right,
    "||": lambda left, right: left or right,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "coalesce": lambda *values: next(held for held in values if held not in (None, "")),
    "concat": lambda *lists: list(chain(*lists)),
    "contains": lambda members, member: member in members,
    "fileexists": lambda _: False,
    "flatten": _flatten,
    "join": lambda separator, members: separator.join(members),
    "jsonencode": lambda held: json.dumps(held, sort_keys=True),
    "keys": lambda held: sorted(held),
    "length": len,
    "lower": str.lower,
    "merge": _merge,
    "one": _one,
    "replace": lambda text, old, new: text.replace(old, new),
    "toset": set,
}

_EXPRESSIONS: Mapping[str, Callable[[Node, Names], Any]] = {
    "binary_op": _binary,
    "conditional": _conditional,
    "expr_term": _only,
    "float_lit": _number,
    "for_object_expr": _for_object,
    "for_tuple_expr": _for_tuple,
    "full_splat_expr_term": _splat,
    "function_call": _call,
    "get_attr_expr_term": _attribute,
    "identifier": _identifier,
    "index_expr_term": _index,
    "int_lit": _number,
    "literal_value": _literal,
    "object": _object,
    "string": _string,
    "tuple": _tuple,
    "unary_op": _unary,
}
