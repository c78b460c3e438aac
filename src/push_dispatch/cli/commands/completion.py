"""`push-dispatch completion`: let a shell complete commands and options."""

from __future__ import annotations

from typing import Literal

from push_dispatch.cli.output import say

__all__ = ["completion"]


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script that completes commands and options in a shell.

    bash: source <(push-dispatch completion bash). zsh: save it as _push-dispatch in a folder of
    $fpath. fish: save it as ~/.config/fish/completions/push-dispatch.fish.
    """
    from push_dispatch.cli.app import app

    say(app.generate_completion(prog_name="push-dispatch", shell=shell))
