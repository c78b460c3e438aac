"""Where may `{{ secrets.NAME }}` stand, who may name which, and how is it filled in?

Secret references: job variables may name the secrets that the pool allows, by default none.
Whoever may submit a run would otherwise read every secret of the system's runs. What the pool's own
base job template names needs no permission: whoever may change it, owns the pool.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.core.template import Layer, merge_variables

__all__ = [
    "SECRETS",
    "check_secrets",
    "mark_secrets",
    "resolve_secrets",
    "secret_references",
    "split",
    "stray_references",
    "unmark_secrets",
]

#: The schema of a variable says with this key that its value may refer to secrets.
SECRETS = "x-secrets"
_SECRET = re.compile(r"\{\{\s*secrets\.([\w.\-/]+)\s*\}\}")
#: One of Unicode's noncharacters, which are for a program's own use: no text from outside has it.
_MARK = "\ufdd0"
_MARKED = re.compile(rf"{_MARK}([\w.\-/]+){_MARK}")
#: What a template calls a command, and what holds names that are not the template's.
_COMMANDS = {"command", "args", "entrypoint", "entryPoint"}
_NAMES = {"env", "environment", "labels", "annotations", "tags"}


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
        reason=Reason.SECRET_NOT_ALLOWED,
    )


def secret_references(configuration: Any) -> set[str]:
    """The names of the secrets that a configuration refers to."""
    if isinstance(configuration, str):
        return set(_SECRET.findall(configuration))
    if isinstance(configuration, Mapping):
        return {name for value in configuration.values() for name in secret_references(value)}
    if isinstance(configuration, Sequence):
        return {name for value in configuration for name in secret_references(value)}
    return set()


def mark_secrets(part: Any) -> Any:
    """Return a copy in which each secret reference is marked as one that may be resolved.

    What rendering puts together of pieces, such as `{{ secrets.` of one variable and `db }}` of the
    next, is a reference without a mark. Raises ValueError if there is the character that marks are
    made of.
    """
    if isinstance(part, str):
        if _MARK in part:
            raise ValueError(f"{part[:40]!r} contains the character U+FDD0")
        return _SECRET.sub(rf"{_MARK}\1{_MARK}", part)
    return _mapped(mark_secrets, part)


def unmark_secrets(part: Any) -> Any:
    """Return a copy with the references that `mark_secrets` has marked."""
    if isinstance(part, str):
        return _MARKED.sub(r"{{ secrets.\1 }}", part)
    return _mapped(unmark_secrets, part)


def _mapped(change: Callable[[Any], Any], part: Any) -> Any:
    if isinstance(part, Mapping):
        return {key: change(value) for key, value in part.items()}
    return [change(value) for value in part] if isinstance(part, (list, tuple)) else part


def stray_references(template: Mapping[str, Any], overrides: Sequence[Layer]) -> list[str]:
    """The job variables with a secret reference in a place where none may stand, in the order of
    their names.

    References go into `env`, into a command (whose words no platform quotes), and into variables
    of which the pool's owner says in their schema that they take them (`"x-secrets": true`).
    Anywhere else a value would end up in names, labels and error messages, and whoever may submit
    a run could read it there without running anything.
    """
    declared = template.get("variables", {}).get("properties", {})
    values = merge_variables({}, overrides)
    return sorted(
        name
        for name, value in values.items()
        if secret_references(value)
        and not (name == "env" and isinstance(value, Mapping))
        and not (name in _COMMANDS or _takes_secrets(declared.get(name)))
    )


def _takes_secrets(declared: Any) -> bool:
    return isinstance(declared, Mapping) and declared.get(SECRETS) is True


def resolve_secrets(configuration: Any, lookup: Callable[[str], str], key: str = "") -> Any:
    """Return a copy with every secret reference replaced by its value. What `lookup` raises passes
    through. A value is never looked at again.

    A command that refers to a secret becomes a list of words first, so that one secret is always
    one word or part of one, whatever is in it. Raises ValueError, with the reference in place of
    the secret, if such a command cannot be split.
    """
    if isinstance(configuration, str):
        if key in _COMMANDS and _SECRET.search(configuration):
            return resolve_secrets(split(configuration), lookup)
        return _SECRET.sub(lambda match: lookup(match.group(1)), configuration)
    if isinstance(configuration, Mapping):
        # Names of environment variables and labels say nothing about their values.
        named = key in _NAMES
        return {
            name: resolve_secrets(value, lookup, "" if named else name)
            for name, value in configuration.items()
        }
    if isinstance(configuration, (list, tuple)):
        return [resolve_secrets(value, lookup) for value in configuration]
    return configuration


def split(command: str) -> list[str]:
    """Split a command into words as a POSIX shell does, with a secret reference as one word or
    part of one. Raises ValueError, which quotes the command as it is."""
    references: list[str] = []

    def hide(match: re.Match[str]) -> str:
        references.append(match.group())
        return f"\0{len(references) - 1}\0"

    try:
        words = shlex.split(_SECRET.sub(hide, command.replace("\0", "")))
    except ValueError as error:
        raise ValueError(f"the command {command!r} cannot be split: {error}") from error
    return [re.sub("\0(\\d+)\0", lambda m: references[int(m[1])], word) for word in words]
