"""How are attempts started, watched and stopped on Azure Container Instances?

`adapter` has the verbs; `request` and `arm` make the container group, `verdict` reads it,
`refusal` has the table of errors, `clients` and `sign_in` the way to Azure, `cost` the price.
"""

from __future__ import annotations

from push_dispatch.platforms.aci.adapter import Aci
from push_dispatch.platforms.aci.refusal import ERRORS

__all__ = ["ERRORS", "Aci"]
