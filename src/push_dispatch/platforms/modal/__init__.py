"""Modal sandboxes, through the gRPC API of Modal's own client."""

from __future__ import annotations

from push_dispatch.platforms.modal.adapter import Modal
from push_dispatch.platforms.modal.refusal import ERRORS

__all__ = ["ERRORS", "Modal"]
