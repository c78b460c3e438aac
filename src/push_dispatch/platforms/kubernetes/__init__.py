"""How does a run become a Kubernetes Job?

`adapter` has the verbs; `request` makes the manifest, `verdict` reads Job and pods, `refusal` has
the table of errors, `auth` and `eks` the way to the cluster.
"""

from __future__ import annotations

from push_dispatch.platforms.kubernetes.adapter import Kubernetes
from push_dispatch.platforms.kubernetes.refusal import ERRORS

__all__ = ["ERRORS", "Kubernetes"]
