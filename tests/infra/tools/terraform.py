"""Which resources does a Terraform module make, for given variables, and with which arguments?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from tests.infra.tools.hcl import Block, Ref, blocks, typed, value

__all__ = ["Module", "Resource", "Sources", "read"]

#: Text of the files by their path.
Sources = Mapping[str, str]


@dataclass(frozen=True)
class Resource:
    type: str
    #: Within its module, such as `queue[ecs]`.
    name: str
    #: Such as `module.dispatch.`; empty in the root module.
    module: str
    arguments: Mapping[str, Any]


def read(folder: Path) -> Sources:
    """The files of a module and of the modules inside of it."""
    return {
        str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*.tf"))
    }


class Module:
    """A module, called with arguments. An expression is evaluated when it is asked for, once."""

    def __init__(
        self, sources: Sources, arguments: Mapping[str, Any], folder: str = "", address: str = ""
    ) -> None:
        self._sources, self._folder, self._address = sources, folder, address
        self._blocks = [
            block
            for path, text in sources.items()
            if str(PurePosixPath(path).parent) == (folder or ".")
            for block in blocks(text)
        ]
        self._names: dict[str, Any] = {
            "var": _Lazy(self._variables(arguments)),
            "local": _Lazy(self._locals()),
            "module": _Lazy({b.labels[0]: (lambda b=b: self._call(b)) for b in self._of("module")}),
            "data": _nested(
                (b.labels, lambda b=b: Ref(f"<data.{'.'.join(b.labels)}>"))
                for b in self._of("data")
            ),
            **_nested((b.labels, lambda b=b: self._refs(b)) for b in self._of("resource")),
        }

    def __getitem__(self, output: str) -> Any:
        [block] = [b for b in self._of("output") if b.labels == [output]]
        return value(block.attributes["value"], self._names)

    def called(self, name: str) -> Module:
        """The one module that it calls by this name."""
        module: Module = self._names["module"][name]
        return module

    def outputs(self) -> dict[str, Any]:
        """All that the module tells, by name."""
        return {b.labels[0]: self[b.labels[0]] for b in self._of("output")}

    def resources(self) -> Iterator[Resource]:
        """Everything that is made, in the modules that it calls, too."""
        for block in self._of("resource"):
            kind, name = block.labels
            for suffix, names in self._instances(block):
                yield Resource(kind, name + suffix, self._address, block.evaluate(names))
        for block in self._of("module"):
            called = self._names["module"][block.labels[0]]
            for module in called if isinstance(called, list) else [called]:
                yield from module.resources()

    def _of(self, kind: str) -> list[Block]:
        return [block for block in self._blocks if block.type == kind]

    def _variables(self, given: Mapping[str, Any]) -> dict[str, Any]:
        known = {block.labels[0]: block for block in self._of("variable")}
        if unknown := set(given) - set(known):
            raise ValueError(f"{self._folder or 'the root module'} has no variable {unknown}")
        return {name: (lambda n=name, b=b: _argument(n, b, given)) for name, b in known.items()}

    def _locals(self) -> dict[str, Any]:
        return {
            name: (lambda node=node: value(node, self._names))
            for block in self._of("locals")
            for name, node in block.attributes.items()
        }

    def _call(self, block: Block) -> Any:
        source = value(block.attributes["source"], {})
        folder = normpath(PurePosixPath(self._folder, source)).removeprefix(".")
        made = [
            Module(
                self._sources,
                block.evaluate(names),
                folder,
                f"{self._address}module.{block.labels[0]}.",
            )
            for _, names in self._instances(block)
        ]
        return made if "count" in block.attributes else made[0]

    def _refs(self, block: Block) -> Any:
        address = f"{self._address}{'.'.join(block.labels)}"
        found = [(n, Ref(f"<{address}{suffix}>")) for suffix, n in self._instances(block)]
        if "for_each" in block.attributes:
            return {names["each"]["key"]: ref for names, ref in found}
        refs = [ref for _, ref in found]
        return refs if "count" in block.attributes else refs[0]

    def _instances(self, block: Block) -> Iterator[tuple[str, dict[str, Any]]]:
        """What follows the name, and the names that are known, of each instance. There is one at
        most where a number says how many: no suffix."""
        if "for_each" in block.attributes:
            each = value(block.attributes["for_each"], self._names)
            for key in sorted(each):
                held = each[key] if isinstance(each, Mapping) else key
                yield f"[{key}]", {**self._names, "each": {"key": key, "value": held}}
        elif "count" not in block.attributes or value(block.attributes["count"], self._names):
            yield "", self._names


class _Lazy(dict[str, Any]):
    """Values that are made by calling what is in it, when they are first asked for."""

    def __init__(self, makers: Mapping[str, Any]) -> None:
        super().__init__()
        self._makers = makers

    def __missing__(self, name: str) -> Any:
        self[name] = self._makers[name]()
        return self[name]


def _nested(entries: Any) -> dict[str, Any]:
    """Makers by type and name, as one looks them up: `aws_sqs_queue.queue`."""
    by_type: dict[str, dict[str, Any]] = {}
    for (kind, name), make in entries:
        by_type.setdefault(kind, {})[name] = make
    return {kind: _Lazy(makers) for kind, makers in by_type.items()}


def _argument(name: str, block: Block, given: Mapping[str, Any]) -> Any:
    """The value given, completed as the variable's type says, or else the variable's default."""
    if name in given:
        return typed(block.attributes["type"], given[name])
    return value(block.attributes["default"], {})
