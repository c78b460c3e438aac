"""Does the program behave in the environments that people and machines have?

Locales without UTF-8, closed, full and broken outputs, proxies, regions, profiles, and an
installation without what other commands need. Each command is a process of its own.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.local import Cli

pytestmark = pytest.mark.slow

PROGRAM = "from push_dispatch.cli import main; main()"
#: A locale that knows nothing but ASCII, and a Python that respects it.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NAME = "für Zoë 🎉"


def shell(
    cli: Cli, line: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """A line of a shell in which `pd` is the program."""
    script = f"set -o pipefail; pd() {{ {sys.executable} -c '{PROGRAM}' \"$@\"; }}\n{line}"
    return subprocess.run(
        ["bash", "-c", script],
        env={**cli.env, **(environ or {})},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def named(cli: Cli) -> str:
    """A pool with a waiting run that has a name beyond ASCII."""
    cli.ok("pool", "create", "named", "--type", "process", "--paused")
    cli.ok("run", "submit", "named", "--name", NAME, "--", "true")
    return "named"


# -- encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with-mark"])
def test_files_are_utf_8_whatever_the_locale(cli: Cli, tmp_path: Path, mark: bytes) -> None:
    file = tmp_path / "größe.yaml"
    content = f"pools:\n  utf8: {{type: process, paused: true, description: {NAME}}}\n"
    file.write_bytes(mark + content.encode())
    line = f"pd apply -f '{file}' > /dev/null && pd pool inspect utf8 --json"
    done = shell(cli, line, ASCII)
    assert json.loads(done.stdout)["description"] == NAME, done.stderr


@pytest.mark.parametrize("environ", [ASCII, {"PYTHONIOENCODING": "ascii"}, {}], ids=str)
def test_json_is_json_in_every_locale(cli: Cli, named: str, environ: dict[str, str]) -> None:
    done = shell(cli, f"pd run ls --pool {named} --json", environ)
    assert [run["name"] for run in json.loads(done.stdout)] == [NAME]


def test_arguments_are_utf_8_whatever_the_locale(cli: Cli, named: str) -> None:
    line = f"pd run submit {named} --name '{NAME}' --json -- true"
    assert json.loads(shell(cli, line, ASCII).stdout)["name"] == NAME


def test_a_file_in_another_encoding_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes("pools: {p: {type: process, description: für}}".encode("latin-1"))
    done = cli("apply", "-f", str(file))
    assert (done.code, "is not UTF-8 text" in done.err) == (2, True), done.err


# -- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("pd run ls >&-", 1, b"error: standard output: Bad file descriptor\n"),
        ("pd run ls --json >&-", 1, b'"message": "standard output: Bad file descriptor"'),
        ("pd run ls > /dev/full", 1, b"error: standard output: No space left on device\n"),
        ("pd run ls --json > /dev/full", 1, b'"standard output: No space left on device"'),
        ("pd run ls 2>&- > /dev/null", 0, b""),
        ("pd run inspect nonsense 2>&-", 1, b""),
        ("pd run inspect nonsense 2>/dev/full", 1, b""),
        ("pd run ls <&- > /dev/null", 0, b""),
        ("pd run submit named --vars=- <&-", 2, b"standard input holds no object"),
        ("pd run ls >&- 2>&- <&-", 1, b""),
        # 128 and the number of SIGPIPE, as of any program that writes to a pipe that is closed.
        ("pd run ls --json | true", 128 + signal.SIGPIPE, b""),
    ],
)
def test_outputs_end_as_those_of_other_programs(
    cli: Cli, named: str, line: str, code: int, message: bytes
) -> None:
    assert named
    done = shell(cli, line)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert b"Traceback" not in done.stderr
    assert b"internal_error" not in done.stderr
    assert b"Exception ignored" not in done.stderr


# -- proxies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_proxy", ["", "example.com"])
def test_no_proxy_stands_before_loopback(cli: Cli, named: str, no_proxy: str) -> None:
    proxies = {"http_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = shell(cli, f"pd run ls --pool {named} --json", proxies | {"no_proxy": no_proxy})
    assert json.loads(done.stdout), done.stderr


# -- folders and files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({"XDG_STATE_HOME": "/dev/null"}, ""),
        ({"XDG_STATE_HOME": "", "HOME": "/proc/nope"}, ""),
        ({}, "--data-dir /dev/null/state"),
        ({}, "--data-dir /proc/nope"),
    ],
    ids=str,
)
def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, environ: dict[str, str], options: str
) -> None:
    done = shell(Cli(tmp_path), f"pd local up --name other {options}", environ)
    assert (done.returncode, b"cannot be written" in done.stderr) == (2, True), done.stderr
    assert b"[invalid_input]" in done.stderr


def test_a_hyphen_is_standard_input(cli: Cli, named: str) -> None:
    line = f"echo '{{command: echo {NAME}}}' | pd run render {named} --vars - --json"
    rendered = json.loads(shell(cli, line).stdout)
    assert rendered["configuration"]["command"] == f"echo {NAME}"
    line = "echo 'pools: {hyphen: {type: process}}' | pd apply -f - --dry-run"
    assert b"+ pool hyphen" in shell(cli, line).stdout


# -- which backend ------------------------------------------------------------------------------

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
#: Nothing listens there.
ENDPOINT = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}


@pytest.mark.parametrize("extra", [{}, {"AWS_DEFAULT_REGION": "eu-west-1"}], ids=str)
def test_the_region_of_aws_region_counts(tmp_path: Path, extra: dict[str, str]) -> None:
    environ = CREDENTIALS | ENDPOINT | {"AWS_REGION": "eu-central-1"} | extra
    done = shell(Cli(tmp_path), "pd pool ls", environ)
    assert b"in AWS eu-central-1" in done.stderr, done.stderr


def test_no_region_at_all_says_how_to_name_one(tmp_path: Path) -> None:
    done = shell(Cli(tmp_path), "pd pool ls", CREDENTIALS | ENDPOINT)
    assert b"set AWS_REGION or --region" in done.stderr
    assert b"AWS is chosen by AWS_ENDPOINT_URL" in done.stderr


def test_a_profile_hides_no_local_runtime_without_a_word(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = eu-west-1\n")
    profile = {"AWS_PROFILE": "work", "AWS_CONFIG_FILE": str(config)}
    done = shell(cli, "pd pool ls", profile)
    assert b"AWS is chosen by AWS_PROFILE, and there are no AWS credentials" in done.stderr
    assert b"a local runtime is up: --local default" in done.stderr
    done = shell(cli, "pd pool ls", profile | CREDENTIALS | ENDPOINT)
    assert b"(because AWS_PROFILE is set; a local runtime is up: --local default)" in done.stderr
    # And the other way round: a profile that does not exist has no say there.
    assert shell(cli, "pd pool ls --local default", {"AWS_PROFILE": "none"}).returncode == 0


# -- with the extra `cli` alone -----------------------------------------------------------------

#: What the other extras and the tests install.
OTHERS = ("psutil", "ministack", "pydantic", "docker", "modal", "google", "azure", "kubernetes")


HIDE = f"""
import sys
class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OTHERS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hiding())
"""


def without_others(cli: Cli, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"{HIDE}\n{PROGRAM}", *arguments],
        env=cli.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_commands_work_without_the_other_extras(cli: Cli, named: str) -> None:
    assert without_others(cli, "run", "ls", "--pool", named).returncode == 0
    assert without_others(cli, "run", "submit", named, "--dry-run", "--", "true").returncode == 0


def test_without_a_local_runtime_aws_is_asked(tmp_path: Path) -> None:
    done = without_others(Cli(tmp_path), "pool", "ls")
    assert (done.returncode, "[no_backend]" in done.stderr) == (1, True), done.stderr


def test_a_command_that_needs_more_says_what_to_install(tmp_path: Path) -> None:
    done = without_others(Cli(tmp_path), "local", "up")
    assert (done.returncode, "[platform_not_installed]" in done.stderr) == (1, True), done.stderr
    assert "psutil" in done.stderr
    assert "pip install 'push-dispatch[cli,local]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


#: What `pool ls` of a local runtime does not need, and what is slow to load.
HEAVY = {
    *("boto3", "botocore", "urllib3", "requests", "rich"),
    *(
        "jsonschema",
        "msgspec",
        "pydantic",
        "yaml",
        "aws_lambda_powertools",
        "asyncio",
        "http.server",
    ),
    *("push_dispatch.api", "push_dispatch.local.runtime", "push_dispatch.control.pools"),
    *("push_dispatch.engine", "push_dispatch.insight.explain", "push_dispatch.cli.commands.runs"),
}


def test_a_command_loads_only_what_it_needs(cli: Cli, pool: str) -> None:
    program = f"""
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
{PROGRAM}
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "pool", "ls"],
        env=cli.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert pool in done.stdout
    loaded = set(done.stderr.split())
    assert "push_dispatch.local.connect" in loaded
    assert not HEAVY & loaded
    assert len(loaded) < 330
