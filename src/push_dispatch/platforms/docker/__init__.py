"""How does a run become a container on one engine?

`adapter` has the verbs; `request` makes the container and reads it, `images` pulls, `refusal` has
the table of errors.
"""

from __future__ import annotations

from push_dispatch.platforms.docker.adapter import Docker
from push_dispatch.platforms.docker.refusal import ERRORS

__all__ = ["ERRORS", "Docker"]
