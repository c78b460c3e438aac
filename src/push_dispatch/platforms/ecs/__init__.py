"""How do runs become Amazon ECS tasks, on Fargate or on EC2?

`adapter` has the verbs; it reads top-down. Everything that decides is pure and beside it:
`definition` and `request` say what is asked for, `refusal` and `verdict` what the answers mean.
"""

from __future__ import annotations

from push_dispatch.platforms.ecs.adapter import Ecs

__all__ = ["Ecs"]
