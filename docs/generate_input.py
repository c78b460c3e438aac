# ruff: noqa: INP001 - a script, not a package
"""The pages about what people write: `pools.yaml`, the client's calls, and settings.

Part of `generate.py`, which has the others.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import push_dispatch
from push_dispatch.api.client.client import Filter, Submission

__all__ = ["PAGES"]

_HERE = Path(__file__).parent
_SCHEMA = _HERE.parent / "src/push_dispatch/control/pools.schema.json"
_TEMPLATE = _HERE.parent / "template.yaml"

_ABOUT_POOLS = """\
# pools.yaml

What `push-dispatch apply -f pools.yaml` takes: pools with their queues, and deployments with their
schedules. `examples/pools.yaml` in the repository is
one; [how it is applied](cli.md#a-file-of-pools-and-deployments). Files are YAML or JSON.

`push-dispatch apply --schema > pools.schema.json` writes the JSON Schema of which this page is
made. With it an editor completes and checks the file:

    # yaml-language-server: $schema=./pools.schema.json

The file has two keys, `pools` and `deployments`, each an object of names. A name has letters,
digits, `-` and `_`, at most 63 of them, and begins with a letter or digit.
"""
_TITLES = {
    "pool": (
        "A pool",
        "`pools.NAME`. What is left out has its default: a pool is declared as a whole.",
    ),
    "queue": ("A queue", "`pools.NAME.queues.NAME`."),
    "deployment": (
        "A deployment",
        "`deployments.NAME`. What its runs have unless they say otherwise.",
    ),
    "schedule": (
        "A schedule",
        "An entry of a deployment's `schedules`: one of `cron`, `every` and `at`.",
    ),
    "limit": (
        "A named limit",
        "`pools.NAME.limits.NAME`: [what it counts](../concepts/limits.md).",
    ),
    "rate": (
        "A rate",
        "`rate` and `platform_rate`: `100/h`, `5/10s`, as on the command line; or an object.",
    ),
}
_DURATION = """\

## A duration

`90s`, `5m`, `1h30m` or `2d`, as on the command line; or a number of seconds. The same value may be
written under its long name, which ends in `_seconds` and takes a number: `timeout: 10m` is
`timeout_seconds: 600`.
"""


def pools_file() -> Iterator[str]:
    """`reference/pools.md`."""
    yield from _ABOUT_POOLS.splitlines()
    kinds = json.loads(_SCHEMA.read_text("utf-8"))["$defs"]
    for kind in (*_TITLES, *(kinds.keys() - _TITLES.keys() - {"duration"})):
        title, about = _TITLES.get(kind, (kind.capitalize(), ""))
        yield from ("", f"## {title}", "", about, "", "| key | what it takes | |", "|---|---|---|")
        required = kinds[kind].get("required", ())
        for name, value in kinds[kind].get("properties", {}).items():
            about = value.get("description", "")
            needed = "**needed.** " if name in required else ""
            yield f"| `{name}` | {_cell(_takes(value))} | {needed}{_cell(about)} |"
    yield from _DURATION.splitlines()


def _takes(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        kind = value["$ref"].rpartition("/")[2]
        title = "A duration" if kind == "duration" else _TITLES[kind][0]
        return f"[{kind}](#{title.lower().replace(' ', '-')})"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    kinds = value.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    text = " or ".join(kinds)
    if "array" in kinds:
        text = f"list of {_takes(value['items'])}"
    values = value.get("additionalProperties")
    if isinstance(values, Mapping):
        text = f"names with {_takes(values)}"
    if "minimum" in value and "maximum" in value:
        text += f", {value['minimum']:,} to {value['maximum']:,}"
    return text


_ABOUT_COMMANDS = """\
# All commands and options

What `--help` prints. [The command line](cli.md) has what holds for all of them: how runs are named,
exit codes, output, which backend is meant. Every command that talks to a system also takes `--json`
(prints JSON, errors too), `--quiet` (does not name the backend), and the backend's `--local NAME`,
`--profile STR` and `--region STR`.
"""


def commands() -> Iterator[str]:
    """`reference/commands.md`."""
    from push_dispatch.cli.app import app  # noqa: PLC0415 - loads every command

    yield from (*_ABOUT_COMMANDS.splitlines(), "")
    text = app.generate_docs(heading_level=1)
    text = text[text.index("\n## push-dispatch ") :]
    text = re.sub(
        r", --(?:no|empty)-[\w-]+(?=[`,])| \*\[default: (?:False|\"\"|\(\))\]\*", "", text
    )
    text = re.sub(r"^\* `--(json|quiet)`: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n\*\*Backend\*\*:\n.*?(?=\n#|\Z)", "", text, flags=re.DOTALL)
    text = re.sub(r"\n\*\*Parameters\*\*:\n(?=\s*(?:#|\Z))", "", text)
    yield from re.sub(r"\n{3,}", "\n\n", text).strip("\n").splitlines()


_ABOUT_CLIENT = """\
# The Python client: reference

`from push_dispatch import Client`. [The guide](../guides/client.md) shows it at work. What is
named here is the package's public API; everything else may change. Importing it loads no SDK.
"""


def client() -> Iterator[str]:
    """`reference/client.md`."""
    yield from _ABOUT_CLIENT.splitlines()
    for name in ("Client", "RunHandle", "Job"):
        yield from _class(getattr(push_dispatch, name), name)
    for title, kind, about in (
        (
            "What may be asked of a run",
            Submission,
            "Keyword arguments of `submit`; durations are seconds.",
        ),
        ("A filter", Filter, "Keyword arguments of `runs`, `cancel_runs`, `retry_runs`."),
    ):
        yield from ("", f"## {title}", "", about, "", "| name | type |", "|---|---|")
        for name, annotation in kind.__annotations__.items():
            text = getattr(annotation, "__forward_arg__", annotation)
            yield f"| `{name}` | `{_cell(str(text))}` |"
    yield from ("", "## Errors", "", "| error | what it says |", "|---|---|")
    for name in sorted(push_dispatch.__all__):
        kind = getattr(push_dispatch, name)
        if isinstance(kind, type) and issubclass(kind, Exception):
            yield f"| `{name}` | {_cell(_first(kind))} |"
    yield ""
    yield "All of them are a `PushDispatchError`, with `message`, and as `reason` one of the"
    yield "[reasons](reasons.md)."


def _class(kind: type, name: str) -> Iterator[str]:
    yield from ("", f"## {name}", "", _first(kind))
    constructor = kind.__dict__.get("__init__")
    if name == "Client" and constructor is not None:
        yield from ("", f"    Client{_signature(constructor)}", "", _text(constructor))
    for member, value in kind.__dict__.items():
        if member.startswith("_"):
            continue
        if isinstance(value, property):
            yield from ("", f"### `.{member}`", "", _text(value))
        elif inspect.isfunction(value):
            call = f"    .{member}{_signature(value)}"
            yield from ("", f"### `.{member}`", "", call, "", _text(value))


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    kept = [p for p in signature.parameters.values() if p.name not in ("self", "transport")]
    text = str(signature.replace(parameters=kept, return_annotation=signature.return_annotation))
    return text.replace("'", "").replace("collections.abc.", "").replace("typing.", "")


def _text(documented: Any) -> str:
    return " ".join((inspect.getdoc(documented) or "").split())


def _first(documented: Any) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


_ABOUT_SETTINGS = """\
# Settings

[Parameters of the stack](#parameters-of-the-stack), which `sam deploy --parameter-overrides` sets,
and the environment variables that each part reads. Terraform's inputs are listed in
`infra/terraform/README.md`. A pool's settings are in [pools.yaml](pools.md), a run's in
[job variables](variables.md).
"""


def settings() -> Iterator[str]:
    """`reference/settings.md`."""
    yield from _ABOUT_SETTINGS.splitlines()
    for part in tomllib.loads((_HERE / "settings.toml").read_text("utf-8")).values():
        yield from ("", f"## {part['title']}", "", part["about"], "", "| variable | what it is |")
        yield "|---|---|"
        for name, about in part["variables"].items():
            yield f"| `{name}` | {_cell(about)} |"
    yield from ("", "## Parameters of the stack", "", "From `template.yaml`.", "")
    yield from ("| parameter | default | what it is |", "|---|---|---|")
    for name, parameter in _parameters().items():
        default = parameter.get("Default")
        shown = f"`{default}`" if default not in (None, "") else ""
        allowed = parameter.get("AllowedValues")
        one_of = f" One of {', '.join(f'`{v}`' for v in allowed)}." if allowed else ""
        yield f"| `{name}` | {shown} | {_cell(parameter.get('Description', ''))}{one_of} |"


def _parameters() -> dict[str, dict[str, Any]]:
    """Those of the template, which has no tags of CloudFormation among them."""
    text = re.search(r"^Parameters:\n(?:[ #].*\n|\n)+", _TEMPLATE.read_text("utf-8"), re.MULTILINE)
    parameters: dict[str, dict[str, Any]] = yaml.safe_load(text[0])["Parameters"] if text else {}
    return parameters


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "reference/commands.md": commands,
    "reference/pools.md": pools_file,
    "reference/client.md": client,
    "reference/settings.md": settings,
}
