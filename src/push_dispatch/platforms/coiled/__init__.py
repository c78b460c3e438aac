"""Coiled's batch jobs, over REST: the official client brings dask and 90 more packages."""

from __future__ import annotations

from push_dispatch.platforms.coiled.adapter import Coiled
from push_dispatch.platforms.coiled.refusal import ERRORS

__all__ = ["ERRORS", "Coiled"]
