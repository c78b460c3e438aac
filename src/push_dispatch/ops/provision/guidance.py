"""What has to be done by hand before runs of a pool can start?"""

from __future__ import annotations

from push_dispatch.platforms.registry import entry_for

__all__ = ["guidance"]

_ALL = "docs/guides/credentials.md has all of it."

#: By platform.
_NEEDS = {
    "managed": """\
The system's own cluster: ManagedSubnets with SAM, managed = { subnets = […] } with Terraform.
The pool itself needs nothing.""",
    "modal": f"""\
A function that pushes to Modal: EnableModal=true with SAM, modal = {{}} with Terraform.
The token of a service user, in Secrets Manager:
  aws secretsmanager create-secret --name push-dispatch-system/modal \\
    --secret-string '{{"token_id": "ak-…", "token_secret": "as-…"}}'
{_ALL}""",
    "coiled": f"""\
A token of the workspace, in the secret that PUSH_DISPATCH_COILED_TOKEN_NAME names, and the
workspace in DASK_COILED__WORKSPACE.
{_ALL}""",
    "kubernetes": f"""\
In one namespace, a role that may create, get, list and delete jobs, list pods, get pods/log and
create secrets; and a way to sign in, by KUBECONFIG or by the function's role in EKS.
{_ALL}""",
    "vertex": f"""\
A service account with the permissions in Vertex.google_permissions, which the function acts as,
and iam.serviceAccounts.actAs on the jobs' own account.
{_ALL}""",
    "docker": "A container engine: the one that DOCKER_HOST names, or this machine's.",
    "process": "Nothing: runs are processes of the local runtime.",
}


def guidance(pool_type: str) -> str:
    """Lines for people; empty if nobody here knows. Raises Invalid (`unknown_type`)."""
    return _NEEDS.get(entry_for(pool_type).platform, "")
