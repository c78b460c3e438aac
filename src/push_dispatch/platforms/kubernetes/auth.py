"""Which cluster is meant, and how does one get in?

A cluster is named by a short reference that fits into a handle and holds no secret:

    eks:REGION:NAME    Amazon EKS: its address from DescribeCluster, a token from STS
    context:NAME       a context of the kubeconfig that KUBECONFIG (or ~/.kube/config) names
    in-cluster         the service account of the pod that this runs in

Credentials are found again from the reference whenever they are needed, so that the function that
watches a run needs nothing but its handle.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from push_dispatch.core.errors import Uncertain
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.aws import region_in
from push_dispatch.platforms.kubernetes.eks import cluster_of, eks_token
from push_dispatch.platforms.shared import milliseconds, no_credentials

__all__ = ["Access", "access_to", "own_reference", "reference_for"]

#: Where a pod finds its own credentials, unless PUSH_DISPATCH_SERVICE_ACCOUNT_DIR names another
#: directory (a projected volume). https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
#: EKS accepts a token for 15 minutes after it was signed.
#: https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html
_EKS_TOKEN_SECONDS = 600
_EXEC_SECONDS = 15
#: Those that matter of `aws eks get-token` and of `aws-iam-authenticator token`. None has to have
#: a value: another command may mean something else by them.
_AWS_OPTIONS = ArgumentParser(add_help=False, allow_abbrev=False)
_AWS_OPTIONS.add_argument("--cluster-name", "--cluster-id", "-i", nargs="?", dest="cluster")
_AWS_OPTIONS.add_argument("--role-arn", "--role", "-r", nargs="?", dest="role")
_AWS_OPTIONS.add_argument("--region", nargs="?")


@dataclass(frozen=True, slots=True)
class Access:
    """A cluster's address and how to prove who we are."""

    server: str
    #: The bearer token, fresh; None if a client certificate or nothing is used.
    token: Callable[[], str | None]
    tls: ssl.SSLContext | None
    server_hostname: str | None = None


def reference_for(configuration: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The cluster that a job configuration asks for, else the environment's.

    `cluster` is a reference as above, or the ARN of an EKS cluster; Prefect's `cluster_config`
    names a context by its `context_name`. Raises Rejected (`credentials_missing`).
    """
    named = configuration.get("cluster")
    prefect = configuration.get("cluster_config") or {}
    if not named and prefect.get("context_name"):
        named = f"context:{prefect['context_name']}"
    reference = _normal(str(named)) if named else own_reference(environ)
    if reference is None:
        raise no_credentials(
            "no cluster is named: set the variable `cluster` of the pool, "
            "PUSH_DISPATCH_KUBERNETES_CLUSTER, or KUBECONFIG with a current context"
        )
    return reference


def own_reference(environ: Mapping[str, str]) -> str | None:
    """The cluster of jobs that name none; None if there is none. Raises Rejected
    (`credentials_missing`) if the kubeconfig cannot be read."""
    if named := environ.get("PUSH_DISPATCH_KUBERNETES_CLUSTER"):
        return _normal(named)
    if environ.get("KUBERNETES_SERVICE_HOST") and not environ.get("KUBECONFIG"):
        return "in-cluster"
    current = _kubeconfig(environ).get("current-context")
    return f"context:{current}" if current else None


def access_to(reference: str, environ: Mapping[str, str]) -> Access:
    """How to get into the cluster behind a reference.

    Raises Rejected (`credentials_missing`) if there is no way in, Uncertain if AWS cannot be asked
    for the address.
    """
    kind, _, rest = reference.partition(":")
    match kind:
        case "eks" if rest.count(":") == 1:
            region, _, name = rest.partition(":")
            server, authority = cluster_of(environ, region, name)
            bearer = _eks_bearer(environ, region, name)
            return Access(server, bearer, _tls(server, authority))
        case "context" if rest:
            return _context(rest, environ)
        case "in-cluster":
            return _in_cluster(environ)
    raise no_credentials(
        f"{reference!r} does not name a cluster: eks:REGION:NAME, context:NAME or in-cluster"
    )


def _normal(named: str) -> str:
    """An EKS ARN, arn:aws:eks:REGION:ACCOUNT:cluster/NAME, as a reference."""
    parts = named.split(":")
    if len(parts) == 6 and parts[0] == "arn" and parts[2] == "eks":
        return f"eks:{parts[3]}:{parts[5].removeprefix('cluster/')}"
    return named


# -- Amazon EKS -------------------------------------------------------------------------------


def _eks_bearer(environ: Mapping[str, str], region: str, name: str) -> Callable[[], str]:
    return _cached(lambda: (eks_token(environ, region, name), time.time() + _EKS_TOKEN_SECONDS))


# -- the pod's own service account ------------------------------------------------------------


def _in_cluster(environ: Mapping[str, str]) -> Access:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    directory = Path(environ.get("PUSH_DISPATCH_SERVICE_ACCOUNT_DIR", _SERVICE_ACCOUNT))
    if not host or not (directory / "token").is_file():
        raise no_credentials(
            f"not in a cluster: KUBERNETES_SERVICE_HOST is not set or {directory}/token is missing"
        )
    shown = f"[{host}]" if ":" in host else host
    server = f"https://{shown}:{port or 443}"
    authority = (directory / "ca.crt").read_text()
    return Access(server, _file_bearer(directory / "token"), _tls(server, authority))


def _file_bearer(path: Path) -> Callable[[], str]:
    # Read at every request: the kubelet replaces the token before it expires.
    return lambda: path.read_text().strip()


# -- kubeconfig -------------------------------------------------------------------------------


def _context(name: str, environ: Mapping[str, str]) -> Access:
    config = _kubeconfig(environ)
    context = _entry(config, "contexts", name, "context")
    cluster = _entry(config, "clusters", context.get("cluster", ""), "cluster")
    user = _entry(config, "users", context["user"], "user") if context.get("user") else {}
    server = cluster.get("server", "")
    if not server:
        raise no_credentials(f"context {name!r} has no server")
    authority = _content(cluster, "certificate-authority")
    verify = not cluster.get("insecure-skip-tls-verify", False)
    certificate = (_content(user, "client-certificate"), _content(user, "client-key"))
    tls = _tls(server, authority, verify=verify, certificate=certificate)
    return Access(server, _bearer(user, environ), tls, cluster.get("tls-server-name"))


def _kubeconfig(environ: Mapping[str, str]) -> dict[str, Any]:
    """The files that KUBECONFIG lists, merged as kubectl does: the first to say something wins."""
    import yaml  # noqa: PLC0415 - not needed for EKS nor inside of a cluster

    home = Path(environ.get("HOME", "~")).expanduser()
    listed = environ.get("KUBECONFIG") or str(home / ".kube" / "config")
    merged: dict[str, Any] = {"clusters": [], "contexts": [], "users": []}
    for path in (Path(part).expanduser() for part in listed.split(":") if part):
        if not path.is_file():
            continue
        try:
            config = yaml.safe_load(path.read_text("utf-8")) or {}
        except yaml.YAMLError as error:
            raise no_credentials(f"{path} is no YAML: {error}") from error
        _absolute(config, path.parent)
        for kind in ("clusters", "contexts", "users"):
            merged[kind] += config.get(kind) or []
        merged["current-context"] = merged.get("current-context") or config.get("current-context")
    return merged


def _absolute(config: Mapping[str, Any], directory: Path) -> None:
    """File names in a kubeconfig are relative to it."""
    for kind, inner in (("clusters", "cluster"), ("users", "user")):
        for entry in config.get(kind) or []:
            values = entry.get(inner) or {}
            for key in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
                if values.get(key):
                    values[key] = str(directory / values[key])


def _entry(config: Mapping[str, Any], kind: str, name: str, inner: str) -> dict[str, Any]:
    for entry in config[kind]:
        if entry.get("name") == name:
            found: dict[str, Any] = entry.get(inner) or {}
            return found
    known = ", ".join(sorted(str(entry.get("name")) for entry in config[kind])) or "none"
    raise no_credentials(f"the kubeconfig has no {inner} {name!r} (it has: {known})")


def _content(entry: Mapping[str, Any], key: str) -> str | None:
    """The value of `key-data`, or of the file that `key` names."""
    if data := entry.get(f"{key}-data"):
        return base64.b64decode(data).decode()
    return Path(entry[key]).read_text() if entry.get(key) else None


def _bearer(user: Mapping[str, Any], environ: Mapping[str, str]) -> Callable[[], str | None]:
    if token := user.get("token"):
        return lambda: str(token)
    if path := user.get("tokenFile"):
        return _file_bearer(Path(path))
    if plugin := user.get("exec"):
        aws = _aws_plugin(plugin, environ)
        return aws or _cached(lambda: _run_plugin(plugin, environ))
    return lambda: None


def _aws_plugin(
    plugin: Mapping[str, Any], environ: Mapping[str, str]
) -> Callable[[], str | None] | None:
    """`aws eks get-token` without the AWS CLI, which no function has: the token is made here."""
    command = Path(str(plugin.get("command", ""))).name
    given, _ = _AWS_OPTIONS.parse_known_args([str(word) for word in plugin.get("args") or []])
    if command not in {"aws", "aws-iam-authenticator"} or not given.cluster or given.role:
        return None
    merged = _with_env(plugin, environ)
    region = given.region or region_in(merged)
    return _eks_bearer(merged, region, given.cluster) if region else None


def _with_env(plugin: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    return {**environ, **{item["name"]: item["value"] for item in plugin.get("env") or []}}


def _run_plugin(plugin: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, float]:
    """A credential plugin's token and until when it is good.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """
    command = [str(plugin["command"]), *(str(argument) for argument in plugin.get("args") or [])]
    request: dict[str, Any] = {
        "apiVersion": plugin.get("apiVersion"),
        "kind": "ExecCredential",
        "spec": {},
    }
    env = _with_env(plugin, environ) | {"KUBERNETES_EXEC_INFO": json.dumps(request)}
    try:
        done = subprocess.run(  # noqa: S603 - the kubeconfig's owner says what is run
            command, env=env, capture_output=True, timeout=_EXEC_SECONDS, check=True
        )
        status = json.loads(done.stdout)["status"]
        expires = status.get("expirationTimestamp")
        until = (milliseconds(expires) or 0) / 1000 - 60 if expires else time.time() + 60
        return str(status["token"]), until
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise Uncertain(
            f"{command[0]} gave no token: {error}", reason=Reason.ACCESS_DENIED
        ) from error


# -- details ----------------------------------------------------------------------------------


def _cached(fresh: Callable[[], tuple[str, float]]) -> Callable[[], str]:
    """The last token until its time is over."""
    kept = ("", 0.0)

    def token() -> str:
        nonlocal kept
        if kept[1] <= time.time():
            kept = fresh()
        return kept[0]

    return token


def _tls(
    server: str,
    authority: str | None,
    *,
    verify: bool = True,
    certificate: tuple[str | None, str | None] = (None, None),
) -> ssl.SSLContext | None:
    if not server.startswith("https:"):
        return None
    context = ssl.create_default_context(cadata=authority)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    chain, key = certificate
    if chain and key:
        # The ssl module reads files only. Readable by nobody else, and gone at once.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{chain}\n{key}")
            file.flush()
            context.load_cert_chain(file.name)
    return context
