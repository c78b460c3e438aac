"""What is behind a secret reference? Looked up at the push, never kept, logged or shown.

`PUSH_DISPATCH_SECRETS` chooses the store. It holds two kinds of secrets under two prefixes: the
secrets of runs, which `{{ secrets.NAME }}` in a template or a job variable names, and the system's
own (report key, credentials of platforms, webhook secrets), which nothing in a run can name.

    secretsmanager   AWS Secrets Manager: `push-dispatch/NAME`, `push-dispatch-system/NAME`
    ssm              SSM Parameter Store: `/push-dispatch/NAME`, `/push-dispatch-system/NAME`
    file:PATH        a JSON object of names and values; the system's are under its key `system`
    env              PUSH_DISPATCH_SECRET_NAME, PUSH_DISPATCH_SYSTEM_SECRET_NAME: local runtime

`PUSH_DISPATCH_SECRETS_PREFIX` and `PUSH_DISPATCH_SYSTEM_SECRETS_PREFIX` replace the prefixes, which
are also what the roles of functions and tasks are limited to: see docs/security.md.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from push_dispatch.core.errors import Invalid, Unavailable
from push_dispatch.ports.secrets import WEBHOOKS, Secrets

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

__all__ = [
    "EnvSecrets",
    "FileSecrets",
    "ParameterStore",
    "SecretsManager",
    "secrets_from",
    "system_secrets_from",
]

log = logging.getLogger(__name__)

#: The key of a file's JSON object that holds the system's own secrets.
_SYSTEM = "system"


def secrets_from(environ: Mapping[str, str]) -> Secrets:
    """Return the store of the secrets that runs may name. Raises Invalid."""
    return _stores(environ)[0]


def system_secrets_from(environ: Mapping[str, str]) -> Secrets:
    """Return the store of the system's own secrets. Raises Invalid."""
    runs, system = _stores(environ)
    return _SystemSecrets(system, former=runs)


def _stores(environ: Mapping[str, str]) -> tuple[Secrets, Secrets]:
    """The store of the runs' secrets and that of the system's. Raises Invalid."""
    choice = environ.get("PUSH_DISPATCH_SECRETS", "secretsmanager")
    if choice == "secretsmanager":
        runs, system = _prefixes(environ, "push-dispatch/", "push-dispatch-system/")
        return SecretsManager(runs), SecretsManager(system)
    if choice == "ssm":
        runs, system = _prefixes(environ, "/push-dispatch/", "/push-dispatch-system/")
        return ParameterStore(runs), ParameterStore(system)
    if choice.startswith("file:"):
        path = Path(choice.removeprefix("file:"))
        return FileSecrets(path), FileSecrets(path, inside=_SYSTEM)
    if choice == "env":
        return EnvSecrets(environ), EnvSecrets(environ, "PUSH_DISPATCH_SYSTEM_SECRET_")
    raise Invalid(
        f"PUSH_DISPATCH_SECRETS={choice!r} is not valid: secretsmanager, ssm, file:PATH or env"
    )


def _prefixes(environ: Mapping[str, str], *defaults: str) -> tuple[str, str]:
    names = ("PUSH_DISPATCH_SECRETS_PREFIX", "PUSH_DISPATCH_SYSTEM_SECRETS_PREFIX")
    runs, system = (environ.get(n, d) for n, d in zip(names, defaults, strict=True))
    # Else a template could name them: the prefix of runs, then the rest of the other one.
    if system.startswith(runs):
        raise Invalid(
            f"{names[1]}={system!r} starts with {names[0]}={runs!r}, so runs could name the "
            f"system's own secrets: choose two prefixes such as {defaults[0]!r} and {defaults[1]!r}"
        )
    return runs, system


@dataclass(frozen=True)
class _SystemSecrets:
    """The system's own secrets; those that have not been moved yet are read where they were."""

    system: Secrets
    #: Until version 0.2 the system's secrets lay among those of runs.
    former: Secrets

    def read(self, name: str) -> str:
        try:
            return self.system.read(name)
        except KeyError:
            value = self.former.read(name.removeprefix(WEBHOOKS))
            log.warning(
                "secret %s of the system is where runs may name it: see docs/security.md", name
            )
            return value

    def arn(self, name: str) -> str:
        return self.system.arn(name)

    def where(self, name: str) -> str:
        return self.system.where(name)


@dataclass(frozen=True)
class SecretsManager:
    """AWS Secrets Manager."""

    prefix: str

    def read(self, name: str) -> str:
        reply = _ask(name, self._client.get_secret_value, SecretId=self.prefix + name)
        if "SecretString" not in reply:
            raise KeyError(name)
        return str(reply["SecretString"])

    def arn(self, name: str) -> str:
        """Reads metadata only."""
        return str(_ask(name, self._client.describe_secret, SecretId=self.prefix + name)["ARN"])

    def where(self, name: str) -> str:
        return f"{self.prefix}{name} in Secrets Manager"

    @cached_property
    def _client(self) -> SecretsManagerClient:
        client: SecretsManagerClient = _boto_client("secretsmanager")
        return client


@dataclass(frozen=True)
class ParameterStore:
    """SSM Parameter Store."""

    prefix: str

    def read(self, name: str) -> str:
        return str(self._parameter(name, decrypt=True)["Value"])

    def arn(self, name: str) -> str:
        return str(self._parameter(name, decrypt=False)["ARN"])

    def where(self, name: str) -> str:
        return f"{self.prefix}{name} in Parameter Store"

    def _parameter(self, name: str, *, decrypt: bool) -> Mapping[str, Any]:
        get = self._client.get_parameter
        parameter: Mapping[str, Any] = _ask(
            name, get, Name=self.prefix + name, WithDecryption=decrypt
        )["Parameter"]
        return parameter

    @cached_property
    def _client(self) -> SSMClient:
        client: SSMClient = _boto_client("ssm")
        return client


@dataclass(frozen=True)
class FileSecrets:
    """A JSON file, read anew each time."""

    path: Path
    #: Key of the object that holds the secrets; empty for the file's own.
    inside: str = ""

    def read(self, name: str) -> str:
        try:
            found = json.loads(self.path.read_text("utf-8-sig"))
            value = (found[self.inside] if self.inside else found)[name]
        except (OSError, ValueError, TypeError) as error:
            raise KeyError(name) from error
        # One object there holds the system's own, which no run may name.
        if value is None or (name == _SYSTEM and not self.inside):
            raise KeyError(name)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def where(self, name: str) -> str:
        return f"{name!r}{f' in the object {self.inside!r}' if self.inside else ''} of {self.path}"

    def arn(self, name: str) -> str:  # noqa: ARG002 - files have none
        return ""


@dataclass(frozen=True)
class EnvSecrets:
    """Environment variables."""

    environ: Mapping[str, str] = field(repr=False)
    prefix: str = "PUSH_DISPATCH_SECRET_"

    def read(self, name: str) -> str:
        return self.environ[self.prefix + name]

    def where(self, name: str) -> str:
        return f"the environment variable {self.prefix}{name}"

    def arn(self, name: str) -> str:  # noqa: ARG002 - variables have none
        return ""


# -- details ----------------------------------------------------------------------------------

_ABSENT = {
    "ResourceNotFoundException",
    "ParameterNotFound",
    "AccessDeniedException",
    "InvalidRequestException",
    "DecryptionFailure",
}


def _ask(name: str, call: Callable[..., Any], **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see _boto_client

    try:
        return call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            raise KeyError(name) from error
        raise Unavailable(f"secret {name!r} cannot be read now: {error}") from error
    except BotoCoreError as error:
        raise Unavailable(f"secret {name!r} cannot be read now: {error}") from error


def _boto_client(service: str) -> Any:
    """A client of its own, made when the first secret is needed: most runs have none."""
    from botocore.config import Config  # noqa: PLC0415

    from push_dispatch.adapters.aws import client  # noqa: PLC0415

    retries: Any = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=2, read_timeout=5, retries=retries)
    return client(service, config=config)
