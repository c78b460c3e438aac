"""What is behind a secret reference? Looked up at the push, never kept, logged or shown.

`{{ secrets.NAME }}` in a template or a job variable names a secret of the store that
`PUSH_DISPATCH_SECRETS` chooses:

    secretsmanager   AWS Secrets Manager, the secret PREFIX + NAME   (prefix `push-dispatch/`)
    ssm              SSM Parameter Store, the parameter PREFIX + NAME (prefix `/push-dispatch/`)
    file:PATH        a JSON object of names and values
    env              the environment variable PUSH_DISPATCH_SECRET_NAME, for the local runtime

`PUSH_DISPATCH_SECRETS_PREFIX` replaces the prefix, which is also what the functions' roles are
limited to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from push_dispatch.core.errors import Invalid, Rejected, Unavailable
from push_dispatch.ports.secrets import Secrets

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

__all__ = [
    "EnvSecrets",
    "FileSecrets",
    "ParameterStore",
    "SecretsManager",
    "secret_named",
    "secrets_from",
]


def secrets_from(environ: Mapping[str, str]) -> Secrets:
    """The store that the environment chooses. Raises Invalid."""
    choice = environ.get("PUSH_DISPATCH_SECRETS", "secretsmanager")
    prefix = environ.get("PUSH_DISPATCH_SECRETS_PREFIX")
    if choice == "secretsmanager":
        return SecretsManager("push-dispatch/" if prefix is None else prefix)
    if choice == "ssm":
        return ParameterStore("/push-dispatch/" if prefix is None else prefix)
    if choice.startswith("file:"):
        return FileSecrets(Path(choice.removeprefix("file:")))
    if choice == "env":
        return EnvSecrets(environ)
    raise Invalid(
        f"PUSH_DISPATCH_SECRETS={choice!r} is not valid: secretsmanager, ssm, file:PATH or env"
    )


@dataclass(frozen=True)
class SecretsManager:
    """AWS Secrets Manager."""

    prefix: str

    def read(self, name: str) -> str:
        """See `Secrets.read`."""
        reply = _ask(name, self._client.get_secret_value, SecretId=self.prefix + name)
        if "SecretString" not in reply:
            raise KeyError(name)
        return str(reply["SecretString"])

    def arn(self, name: str) -> str:
        """See `Secrets.arn`. Reads metadata only."""
        return str(_ask(name, self._client.describe_secret, SecretId=self.prefix + name)["ARN"])

    @cached_property
    def _client(self) -> SecretsManagerClient:
        client: SecretsManagerClient = _boto_client("secretsmanager")
        return client


@dataclass(frozen=True)
class ParameterStore:
    """SSM Parameter Store."""

    prefix: str

    def read(self, name: str) -> str:
        """See `Secrets.read`."""
        return str(self._parameter(name, decrypt=True)["Value"])

    def arn(self, name: str) -> str:
        """See `Secrets.arn`."""
        return str(self._parameter(name, decrypt=False)["ARN"])

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

    def read(self, name: str) -> str:
        """See `Secrets.read`."""
        try:
            value = json.loads(self.path.read_text("utf-8-sig"))[name]
        except (OSError, ValueError, TypeError) as error:
            raise KeyError(name) from error
        if value is None:
            raise KeyError(name)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def arn(self, name: str) -> str:  # noqa: ARG002 - files have none
        """See `Secrets.arn`."""
        return ""


@dataclass(frozen=True)
class EnvSecrets:
    """Environment variables."""

    environ: Mapping[str, str] = field(repr=False)

    def read(self, name: str) -> str:
        """See `Secrets.read`."""
        return self.environ[f"PUSH_DISPATCH_SECRET_{name}"]

    def arn(self, name: str) -> str:  # noqa: ARG002 - variables have none
        """See `Secrets.arn`."""
        return ""


# -- details ----------------------------------------------------------------------------------

_ABSENT = {
    "ResourceNotFoundException",
    "ParameterNotFound",
    "AccessDeniedException",
    "InvalidRequestException",
    "DecryptionFailure",
}


def secret_named(environ: Mapping[str, str], variable: str) -> str:
    """Return the secret whose name `variable` of the environment has.

    Raises Rejected (`secret_unavailable`) if it cannot be read, Unavailable.
    """
    try:
        return secrets_from(environ).read(environ[variable])
    except KeyError as error:
        message = f"{variable}: secret {environ[variable]!r} cannot be read"
        raise Rejected(message, reason="secret_unavailable") from error


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
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    retries: Any = {"mode": "standard", "total_max_attempts": 3}
    config = Config(connect_timeout=2, read_timeout=5, retries=retries)
    return boto3.client(service, config=config)  # type: ignore[call-overload]
