"""Which options do the commands for pools and queues share?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from push_dispatch.cli.options import whole

__all__ = [
    "AllowSecret",
    "Description",
    "GiveUp",
    "Hold",
    "KeyLimit",
    "Limit",
    "PlatformRate",
    "Provision",
    "SecurityGroups",
    "StartRate",
    "Subnets",
    "Template",
    "Variables",
]

Limit = Annotated[
    int | None,
    Parameter(
        converter=whole,
        name=("--concurrency-limit", "--limit", "-l"),
        metavar="N",
        help="Runs at once, over all queues; 0 starts nothing.",
    ),
]
Template = Annotated[
    Path | None,
    Parameter(
        allow_leading_hyphen=True, metavar="FILE", help="Base job template, as JSON or YAML."
    ),
]
Variables = Annotated[
    list[str] | None,
    Parameter(
        name="--var",
        metavar="KEY=VALUE",
        negative=(),
        allow_leading_hyphen=True,
        help="What a job variable is unless a run sets it: JSON if it is valid JSON, else text. "
        "May be repeated.",
    ),
]
Description = Annotated[str | None, Parameter(help="For people.")]
KeyLimit = Annotated[
    int | None,
    Parameter(converter=whole, metavar="N", help="Runs at once that share a concurrency key."),
]
AllowSecret = Annotated[
    list[str] | None,
    Parameter(
        name="--allow-secret",
        metavar="NAME",
        negative=(),
        help="A secret that job variables may name, such as db or etl/*; otherwise none. The base "
        "job template may name any.",
    ),
]
Provision = Annotated[
    bool,
    Parameter(
        negative=(),
        help="Also find or make what it needs of its platform; for Cloud Run and ACI, print the "
        "Terraform that does it.",
    ),
]
Subnets = Annotated[
    list[str] | None,
    Parameter(
        name="--subnet",
        metavar="ID",
        negative=(),
        help="With --provision, for ecs: where tasks are; otherwise in the default VPC.",
    ),
]
SecurityGroups = Annotated[
    list[str] | None,
    Parameter(
        name="--security-group",
        metavar="ID",
        negative=(),
        help="With --provision, for ecs; otherwise the VPC's own.",
    ),
]
StartRate = Annotated[
    str | None,
    Parameter(
        name="--rate", metavar="N/DURATION", help="Starts per period: 100/1h; none removes it."
    ),
]

PlatformRate = Annotated[
    str | None,
    Parameter(
        metavar="N/DURATION",
        help="Starts that the platform accepts per period: 20/1s; none removes it.",
    ),
]
Hold = Annotated[
    str | None,
    Parameter(
        metavar="DURATION",
        help="How long a run keeps its slot while the platform has no room or is throttling; "
        "then it waits in line.",
    ),
]
GiveUp = Annotated[
    str | None,
    Parameter(
        metavar="DURATION",
        help="How long after its first refusal a run that still finds no room ends as CRASHED; "
        "never, unless given.",
    ),
]
