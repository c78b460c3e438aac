"""`push-dispatch apply`: make pools, queues, deployments and schedules what a file declares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import dim, print_json, say
from push_dispatch.core.errors import PushDispatchError

if TYPE_CHECKING:
    from push_dispatch.control.apply import Step
    from push_dispatch.ports import Ports

__all__ = ["apply"]

_SIGNS = {"create": "+", "update": "~", "delete": "-"}


def apply(
    *,
    file: Annotated[
        Path,
        Parameter(
            name=("--file", "-f"),
            allow_leading_hyphen=True,
            metavar="FILE",
            help="YAML or JSON, see `--schema`; by default ./pools.yaml.",
        ),
    ] = Path("pools.yaml"),
    dry_run: Annotated[bool, Parameter(help="Print the plan, and change nothing.")] = False,
    prune: Annotated[
        bool, Parameter(help="Delete pools, queues and deployments not in the file.")
    ] = False,
    allow_empty: Annotated[
        bool, Parameter(help="With --prune: also if the file declares nothing.")
    ] = False,
    schema: Annotated[bool, Parameter(help="Print the file's JSON Schema, for editors.")] = False,
    common: Common = Common(),
) -> None:
    """Print a plan in terms of the runs concerned, and carry it out. Applying twice does nothing.

    Runs that have started are never stopped, and live counters never touched. A plan that cannot be
    finished is refused before anything changes.
    """
    from push_dispatch.control.apply import plan
    from push_dispatch.control.declaration import read_file, schema as schema_of_file
    from push_dispatch.platforms.templates import default_template

    if schema:
        print_json(schema_of_file())
        return
    declared = read_file(file, default_template)
    ports = connect(common)
    steps = plan(ports, declared, prune=prune, allow_empty=allow_empty)
    if not common.json:
        _tell(steps)
    if not dry_run:
        _carry_out(ports, steps)
    if common.json:
        print_json({"applied": not dry_run, "steps": [_view(step) for step in steps]})
    elif steps and not dry_run:
        say(f"Applied {len(steps)} {'change' if len(steps) == 1 else 'changes'}.")


def _carry_out(ports: Ports, steps: list[Step]) -> None:
    from push_dispatch.control.apply import carry_out

    for done, step in enumerate(steps):
        try:
            carry_out(ports, step)
        except PushDispatchError as error:
            # Something has changed since the plan was made.
            where = f"{step.action.value} {step.kind} {step.name}, after {done} of {len(steps)}"
            raise type(error)(f"{where}: {error.message}", reason=error.reason) from error


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
