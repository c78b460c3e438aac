"""Vertex AI custom jobs, over REST: the official client is 149 MB (PyPI, 2026)."""

from __future__ import annotations

from push_dispatch.platforms.vertex.adapter import Vertex
from push_dispatch.platforms.vertex.refusal import ERRORS

__all__ = ["ERRORS", "Vertex"]
