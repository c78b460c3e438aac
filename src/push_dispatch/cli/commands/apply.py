"""`push-dispatch apply`: make pools, queues, deployments and schedules what a file declares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import dim, print_json, say

if TYPE_CHECKING:
    from push_dispatch.control.apply import Step

__all__ = ["apply"]

_SIGNS = {"create": "+", "update": "~", "delete": "-"}


def apply(
    *,
    file: Annotated[
        Path, Parameter(name=("--file", "-f"), metavar="FILE", help="YAML or JSON, see `--schema`.")
    ] = Path("pools.yaml"),
    dry_run: Annotated[bool, Parameter(help="Print the plan, and change nothing.")] = False,
    prune: Annotated[bool, Parameter(help="Delete pools and deployments not in the file.")] = False,
    schema: Annotated[bool, Parameter(help="Print the file's JSON Schema, for editors.")] = False,
    common: Common = Common(),
) -> None:
    """Print a plan in terms of the runs concerned, and carry it out. Applying twice does nothing.

    Runs that have started are never stopped, and live counters never touched.
    """
    from push_dispatch.control.apply import carry_out, plan
    from push_dispatch.control.declaration import read_file, schema as schema_of_file
    from push_dispatch.platforms.templates import default_template

    if schema:
        print_json(schema_of_file())
        return
    declared = read_file(file, default_template)
    ports = connect(common)
    steps = plan(ports, declared, prune=prune)
    if common.json:
        print_json({"applied": not dry_run, "steps": [_view(step) for step in steps]})
    else:
        _tell(steps)
    if dry_run:
        return
    for step in steps:
        carry_out(ports, step)
    if steps and not common.json:
        say(f"Applied {len(steps)} {'change' if len(steps) == 1 else 'changes'}.")


def _tell(steps: list[Step]) -> None:
    if not steps:
        dim("Everything is as declared.")
    for step in steps:
        say(f"{_SIGNS[step.action.value]} {step.kind} {step.name}")
        for change in step.changes:
            say(f"    {change}")


def _view(step: Step) -> dict[str, object]:
    return {
        "action": step.action.value,
        "kind": step.kind,
        "name": step.name,
        "changes": list(step.changes),
    }
