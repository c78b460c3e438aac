"""Which commands are there, and with which code does the program exit?"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

import push_dispatch
from push_dispatch.cli.environment import decoded, prepare
from push_dispatch.cli.failures import Failure, failure_of, print_failure
from push_dispatch.cli.opened import OPENED
from push_dispatch.cli.output import MANNER
from push_dispatch.core.reasons import Reason

__all__ = ["app", "run"]

_HELP = """Self-hosted push work pools.

A pool is a type of infrastructure with a limit; its queues have a priority and a limit each. A
submitted run starts about a second later, in order of priority and never above a limit.
"""

app = App(
    name="push-dispatch",
    help=_HELP,
    version=lambda: push_dispatch.__version__,
    # Rendering Markdown would take longer than everything else.
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=False),
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _name, _module, _summary in (
    ("pool", "pools", "Create, inspect, change and delete pools."),
    ("queue", "queues", "Create, inspect, change and delete the queues of a pool."),
    ("run", "runs", "Submit runs, and follow them."),
    ("deployment", "deployments", "Declare, run and schedule deployments."),
    ("schedule", "schedules", "See when schedules fire."),
    ("prefect", "prefect", "Serve the work pools of a self-hosted Prefect server."),
    ("platform", "platforms", "List the platforms and what each can do."),
    ("dead-letters", "dead_letters", "Inspect and redrive dead-lettered messages."),
    ("local", "local", "Run the whole service on this machine."),
):
    app.command(f"push_dispatch.cli.commands.{_module}:app", name=_name, help=_summary)
app.command(
    "push_dispatch.cli.commands.dashboard:dashboard",
    name="dashboard",
    help="Show pools in a browser.",
)
app.command(
    "push_dispatch.cli.commands.top:top",
    name="top",
    help="Show how busy pools and queues are, live.",
)
app.command(
    "push_dispatch.cli.commands.doctor:doctor",
    name="doctor",
    help="Check everything that runs depend on.",
)
app.command(
    "push_dispatch.cli.commands.restore:restore",
    name="restore",
    help="Copy a restored table into this system.",
)
app.command(
    "push_dispatch.cli.commands.apply:apply",
    name="apply",
    help="Apply pools and deployments declared in a file.",
)
app.command(
    "push_dispatch.cli.commands.simulate:simulate",
    name="simulate",
    help="Simulate a load on pools.",
)
app.command(
    "push_dispatch.cli.commands.completion:completion",
    name="completion",
    help="Print the script that completes commands and options in a shell.",
)
app.command(
    "push_dispatch.cli.commands.demo:demo",
    name="demo",
    help="See pools, priorities and limits at work, in a minute.",
)


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return the exit code; never raises."""
    prepare()
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    # Read before the command line is: it may be what is wrong.
    MANNER.json = "--json" in options
    MANNER.quiet = "--quiet" in options
    try:
        result = app(decoded(arguments))
        sys.stdout.flush()
    except CycloptsError as error:
        return print_failure(_usage(error))
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a traceback is a bug
        return print_failure(failure_of(error))
    finally:
        OPENED.close()
    return result if isinstance(result, int) else 0


def _usage(error: CycloptsError) -> Failure:
    # The message is made when it is asked for, and looks at all commands.
    return Failure(" ".join(str(error).split()), Reason.USAGE, 2)
