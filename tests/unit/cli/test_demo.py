"""Can what the demo ends with be typed as it stands?"""

from __future__ import annotations

import pytest

from push_dispatch.cli.commands import demo


@pytest.mark.parametrize(
    ("found", "typed"), [("/usr/bin/push-dispatch", "push-dispatch"), (None, "bin/push-dispatch")]
)
def test_the_program_is_named_as_it_can_be_typed(
    found: str | None, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: found)
    monkeypatch.setattr("sys.argv", ["bin/push-dispatch"])
    assert demo._program() == typed
