"""Does a shell take what completes commands, and does it complete them?"""

from __future__ import annotations

import subprocess

import pytest

from push_dispatch.cli.app import run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_every_command_and_option(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("dead-letters", "submit", "exit-code-from", "clear-key-limit"):
        assert word in script


def test_bash_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    called = "$(complete -p push-dispatch | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
    words = f"COMP_WORDS=(push-dispatch run ex); COMP_CWORD=2; {called}"
    received = f'{script}\n{words}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash"], input=received, text=True, capture_output=True, check=False)
    assert "explain" in done.stdout.split(), done.stderr
