# ruff: noqa: E501 - one row a cause: a table reads better than its wrapped form
"""What does a refusal of the container engine mean?

The Docker Engine and Podman's Docker API say the same things with other status codes: Podman
answers 500 where Docker answers 404 or 400. So the words decide before the status does.
"""

from __future__ import annotations

from push_dispatch.platforms.refusals import Reaction, Row

__all__ = ["ERRORS", "PULL_ERRORS"]

#: Of create, connect, start, inspect and list. https://docs.docker.com/reference/api/engine/
ERRORS: tuple[Row, ...] = (
    Row((), (), Reaction.EXISTS, "platform_rejected", "Another container has this name: remove or rename it.", r"\bname .*(already|is) in use"),
    Row((), ("no such container",), Reaction.GONE, "lost", "Somebody removed the container."),
    Row((404, 500), ("no such image", "image not known", "unable to find image", "image not found"), Reaction.PERMANENT, "image_pull_failed", "Pull the image, or let image_pull_policy do it."),
    Row((), (), Reaction.PERMANENT, "platform_rejected", "Correct `volumes`: the engine's host does not let this path be made.", r"mount source path|\bmkdir .*: (permission denied|read-only file system)"),
    Row((), ("could not select device driver",), Reaction.PERMANENT, "platform_rejected", "The engine's host has no such device: install its container toolkit, or leave it out."),
    Row((), ("executable file not found", "exec format error", "no such file or directory: oci", "command that was not found", "exec: permission denied", "permission denied: oci", "permission denied: unknown"), Reaction.PERMANENT, "command_not_found", "Check the command, and that the image has it for this processor."),
    Row((), ("cannot allocate memory", "no space left on device", "not enough memory", "port is already allocated", "bind: address already in use", "exchange full", "all predefined address pools have been fully subnetted"), Reaction.CAPACITY, "no_capacity", "Free memory, disk or ports on the engine's host."),
    Row((404, 500), (), Reaction.PERMANENT, "platform_rejected", "Create the network first, or correct `networks`.", r"\bnetwork \S+ not found|no such network|unable to find network"),
    Row((400, 422), (), Reaction.PERMANENT, "platform_rejected", "Correct the pool's template or the job variables."),
    Row((401, 403), (), Reaction.PERMANENT, "access_denied", "Check DOCKER_HOST, its certificates, and the engine's authorization plugin."),
    Row((404,), (), Reaction.PERMANENT, "platform_rejected", "Correct what the message says is missing."),
    Row((409,), (), Reaction.RETRY, "platform_throttled", "The container is changing; it is sent again."),
    Row((429,), (), Reaction.RETRY, "platform_throttled", "Ask for fewer starts at once: platform_rate of the pool."),
    Row((503,), (), Reaction.RETRY, "platform_unavailable", "The engine is starting or stopping; it is sent again."),
    Row((), (), Reaction.UNCERTAIN, "push_uncertain", "The container is looked up by its name before it is sent again."),
)  # fmt: skip

#: Of a pull, where the engine passes on what the registry says, often in the middle of a stream.
PULL_ERRORS: tuple[Row, ...] = (
    Row((), ("toomanyrequests", "too many requests", "pull rate limit"), Reaction.RETRY, "platform_throttled", "The registry limits pulls: sign in, or mirror the image."),
    Row((), ("no space left on device",), Reaction.CAPACITY, "no_capacity", "Free disk on the engine's host."),
    Row((), (), Reaction.RETRY, "platform_unavailable", "The registry cannot be reached; it is tried again.", r"unexpected http status: 5\d\d|\b(service unavailable|bad gateway|internal server error|gateway time-?out)\b|i/o timeout|timed out|timeout exceeded|\bEOF$|connection (refused|reset)|no such host|server misbehaving|network is unreachable|tls handshake"),
    Row((), (), Reaction.PERMANENT, "image_pull_failed", "Check registry_credentials and the name of the image.", r"(^|\s)unauthorized\b|(^|\s)denied: |(access|is) denied\b|authentication required|no basic auth"),
    Row((), (), Reaction.PERMANENT, "image_pull_failed", "Check the image's name and tag, and the processor that it is for.", r"not found|manifest unknown|invalid reference format|invalid (repository|image) name|no matching manifest|must be lowercase|unsupported media type|not a valid repository"),
    # A registry says a thousand things when it is unwell: what is final is listed above.
    Row((), (), Reaction.RETRY, "platform_unavailable", "It is tried again."),
)  # fmt: skip
