# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""What does a refusal of the Kubernetes API server mean?"""

from __future__ import annotations

from push_dispatch.platforms.refusals import Reaction, Row

__all__ = ["ERRORS"]

#: The API server's answers, https://kubernetes.io/docs/reference/using-api/api-concepts/ and
#: https://github.com/kubernetes/community/blob/main/contributors/devel/sig-architecture/api-conventions.md#http-status-codes
ERRORS: tuple[Row, ...] = (
    Row((409,), ("alreadyexists",), Reaction.EXISTS, "platform_rejected", "Another Job has this name: delete it, or use another namespace."),
    Row((409,), (), Reaction.RETRY, "platform_throttled", "Somebody changed the same object at the same moment; it is sent again."),
    Row((403,), ("exceeded quota",), Reaction.CAPACITY, "no_capacity", "Raise the ResourceQuota of the namespace, or lower finished_job_ttl."),
    Row((403,), ("being terminated",), Reaction.PERMANENT, "platform_rejected", "The namespace is being deleted: use another one."),
    Row((), ("denied the request",), Reaction.PERMANENT, "platform_rejected", "A policy of the cluster refuses this Job: change the pool's template."),
    Row((401,), (), Reaction.PERMANENT, "access_denied", "Check the credentials; on EKS add an access entry for the function's role."),
    Row((403,), (), Reaction.PERMANENT, "access_denied", "Grant jobs create, get, list, delete; pods and events list; pods/log get in the namespace."),
    Row((404,), (), Reaction.PERMANENT, "platform_rejected", "Check that the namespace exists and that the cluster serves batch/v1."),
    Row((413,), (), Reaction.PERMANENT, "overrides_too_long", "A Job may have 1.5 MB: move large values into a ConfigMap or the image."),
    Row((400, 422), (), Reaction.PERMANENT, "platform_rejected", "Correct the job_manifest or the job variables named in the message."),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "Ask for a higher flow-control share if it happens often."),
    Row((503,), (), Reaction.RETRY, "platform_unavailable", "The API server is starting or overloaded; it is sent again."),
    Row((500, 502, 504), (), Reaction.UNCERTAIN, "push_uncertain", "The Job is looked up by its name before it is sent again."),
)  # fmt: skip
