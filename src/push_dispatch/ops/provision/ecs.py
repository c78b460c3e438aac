"""How does a pool of type ecs come by what it needs? Step by step, and each can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.core.errors import Invalid, PushDispatchError, Refused, Unavailable
from push_dispatch.core.reasons import Reason
from push_dispatch.core.template import with_defaults
from push_dispatch.ops.provision.needs import Found, Kind, lacking, properties_of

if TYPE_CHECKING:
    from push_dispatch.ops.provision.account import Account

__all__ = ["provision_ecs"]

#: How AWS says that somebody may not: IAM and ECS, CloudWatch Logs, EC2.
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


def provision_ecs(
    account: Account,
    template: Mapping[str, Any],
    *,
    subnets: Sequence[str] = (),
    groups: Sequence[str] = (),
    tell: Callable[[Found], None],
) -> dict[str, Any]:
    """Find or make what the template does not name, `tell` of each thing, and return the template
    with them as defaults.

    Nothing is undone if a step fails: the error says what is there, and the same call goes on.
    Raises Invalid, Refused (`access_denied`, `provision_incomplete`), Unavailable.
    """
    kinds = lacking(template)
    if (subnets or groups) and Kind.NETWORK not in kinds:
        raise Invalid("--subnet and --security-group: the base job template names its network")
    steps: Mapping[Kind, Callable[[], Found]] = {
        Kind.NETWORK: lambda: account.network(subnets, groups),
        Kind.CLUSTER: account.cluster,
        Kind.EXECUTION_ROLE: account.execution_role,
        Kind.LOG_GROUP: account.log_group,
    }
    there: list[Found] = []
    for kind in kinds:
        with _saying(kind, there):
            there.append(steps[kind]())
        tell(there[-1])
    defaults = {name: value for found in there for name, value in found.defaults.items()}
    has = properties_of(template)
    return with_defaults(template, {n: v for n, v in defaults.items() if n in has})


@contextmanager
def _saying(kind: Kind, there: Sequence[Found]) -> Iterator[None]:
    """Say of an error what could not be done, what is there in spite of it, and how to go on."""
    try:
        yield
    except (BotoCoreError, ClientError, Refused) as error:
        lines = [f"{kind}: {error}", *(f"{f.kind} is there: {f.shown}" for f in there)]
        lines.append("no pool was created; the same command goes on where this one has ended")
        raise _named(error, "\n".join(lines)) from error


def _named(error: Exception, message: str) -> PushDispatchError:
    if not isinstance(error, ClientError | Refused):
        return Unavailable(message)
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return Refused(
        message, reason=Reason.ACCESS_DENIED if code in _DENIED else Reason.PROVISION_INCOMPLETE
    )
