"""Which secrets may the job variables of a run name? Those that its pool allows, by default none.

Whoever may submit a run would otherwise read every secret of the system's runs. What the pool's own
base job template names needs no permission: whoever may change it, owns the pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from push_dispatch.core.errors import Invalid

__all__ = ["check_secrets"]


def check_secrets(pool: str, allowed: Collection[str], names: Iterable[str]) -> None:
    """Raise Invalid (`secret_not_allowed`) if one of the names fits none of the patterns in
    `allowed`: a name, or one with `*` and `?` in it."""
    refused = [n for n in sorted(names) if not any(fnmatchcase(n, a) for a in allowed)]
    if not refused:
        return
    may = f"may name {', '.join(allowed)} only" if allowed else "may name none"
    raise Invalid(
        f"the job variables name the secret {', '.join(map(repr, refused))}: in pool {pool!r} they "
        f"{may}. Allow it with: push-dispatch pool update {pool}"
        f"{''.join(f' --allow-secret {name}' for name in refused)}, or name it in the pool's base "
        "job template",
        reason="secret_not_allowed",
    )
