"""`push-dispatch doctor`: does the system work, and is every ledger right?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from push_dispatch.cli.backend import Backend, backend
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import console, dim, print_json
from push_dispatch.core.errors import Refused

if TYPE_CHECKING:
    from push_dispatch.ops.findings import Finding

__all__ = ["doctor"]

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "magenta"}


def doctor(
    *,
    repair: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Read every run, release slots that no run holds, and enqueue runs that wait and "
            "are in no line.",
        ),
    ] = False,
    key_policy: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Print the policy that a customer managed key needs, and do nothing else.",
        ),
    ] = False,
    common: Common = Common(),
) -> int:
    """See whether everything that a run needs works: table, stream, functions, queues, schedule,
    permissions, credentials of the platforms, clock, ledgers.

    Starts nothing, and without --repair changes nothing. --json tells of each thing that was looked
    at; without, what is well has one line of a kind. The exit code is 0 if all is well or at
    most a warning, 1 if there is a problem or something could not be looked at.
    """
    chosen = backend(common)
    if key_policy:
        _print_key_policy(chosen)
        return 0
    findings: list[Finding] = []
    for check, group in groupby(_findings(chosen, repair=repair), key=lambda f: f.check):
        found = list(group)
        findings += found
        if not common.json:
            _show(check, found)
    if common.json:
        print_json([asdict(finding) for finding in findings])
    counted = Counter(finding.verdict.value for finding in findings)
    dim(", ".join(f"{counted[verdict]} {verdict}" for verdict in _STYLES))
    return 1 if counted["problem"] or counted["unknown"] else 0


def _print_key_policy(chosen: Backend) -> None:
    """For the account and region that the session is in."""
    from push_dispatch.ops.key_policy import key_policy

    if chosen.local is not None:
        raise Refused("a local runtime has no key: name a deployment with --profile or --region")
    identity = chosen.session.client("sts").get_caller_identity()
    partition = identity["Arn"].split(":")[1]
    print_json(key_policy(partition, chosen.session.region_name, identity["Account"]))


def _findings(chosen: Backend, *, repair: bool) -> Iterator[Finding]:
    from push_dispatch.ops.account import Account
    from push_dispatch.ops.doctor import examine, examine_local
    from push_dispatch.ops.embedded import examine_embedded

    local, table, ports = chosen.local, chosen.table, chosen.ports
    if local is None:
        return examine(ports, Account(chosen.session), table, repair=repair)
    if chosen.database is not None:
        return examine_embedded(ports, chosen.database, local.state, repair=repair)
    account = Account(chosen.session, local.endpoint)
    queues = (local.wake_queue, *local.platform_queues.values())
    return examine_local(ports, account, table, queues, repair=repair)


def _show(check: str, found: Sequence[Finding]) -> None:
    """A line for what is well, and one for each thing that is not, with its remedy below."""
    well = [finding for finding in found if finding.verdict.value == "ok"]
    if len(well) == 1:
        _line("ok", check, _text(well[0]))
    elif well:
        _line("ok", check, f"all {len(well)}" if len(well) == len(found) else f"{len(well)} others")
    for finding in found:
        if finding not in well:
            _line(finding.verdict.value, check, _text(finding))
            if finding.remedy:
                _line("", "", f"→ {finding.remedy}")


def _text(finding: Finding) -> str:
    return f"{finding.subject}: {finding.message}" if finding.subject else finding.message


def _line(verdict: str, check: str, message: str) -> None:
    from rich.text import Text

    parts = (f"{verdict:9}", _STYLES.get(verdict, "")), f"{check:14}", message
    console().print(Text.assemble(*parts), soft_wrap=True)
