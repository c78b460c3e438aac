"""Which methods of the store and of the queues can a handler come to call?

Read from the source: whatever a function names is taken as called, in its own module or in that of
this package where the name comes from. That finds more than can happen, and hardly less.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["reachable"]

#: Attributes of the ports, also where they are kept by somebody as `_store`.
_PORTS = {"store": "store", "_store": "store", "messages": "messages"}


@cache
def reachable(module: str, entry: str) -> frozenset[str]:
    """Such as `store.run` and `messages.wake`, from what is defined as `entry` there; from all of
    the module if that is `*`."""
    walk = _Walk()
    for name in _Source.of(module).defined if entry == "*" else (entry,):
        walk.enter(module, name)
    return frozenset(walk.found)


@dataclass
class _Walk:
    found: set[str] = field(default_factory=set)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def enter(self, module: str, name: str) -> None:
        """Whatever has that name there: a function, a class, something imported."""
        if (module, name) in self._seen:
            return
        self._seen.add((module, name))
        source = _Source.of(module)
        if name in source.defined:
            for node in ast.walk(source.defined[name]):
                self._look_at(module, node)
        elif name in source.imported:
            self.enter(source.imported[name], name)

    def _look_at(self, module: str, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name):
                self.enter(module, name)
            case ast.Attribute(value=ast.Attribute(attr=port), attr=method) if port in _PORTS:
                self.found.add(f"{_PORTS[port]}.{method}")


@dataclass(frozen=True)
class _Source:
    #: What the module defines, by name, and from which module of this package a name comes.
    defined: dict[str, ast.AST]
    imported: dict[str, str]

    @staticmethod
    @cache
    def of(module: str) -> _Source:
        spec = find_spec(module)
        assert spec is not None, module
        if spec.origin is None:
            return _Source({}, {})
        tree = ast.parse(Path(spec.origin).read_text("utf-8"))
        kinds = (ast.FunctionDef, ast.ClassDef)
        defined: dict[str, ast.AST] = {n.name: n for n in tree.body if isinstance(n, kinds)}
        imported = {
            alias.asname or alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith("push_dispatch.")
            for alias in node.names
        }
        return _Source(defined, imported)
