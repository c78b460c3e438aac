"""What does a pool need of its platform before runs can start in it, and how does it come by it?

`needs` says it of ECS, as pure facts; `account` finds and makes it in AWS; `ecs` goes through it
and puts what it found into the pool's base job template. For other clouds `terraform` and
`guidance` say what somebody has to do there.
"""
