"""Do functions have byte code of Lambda's version, the same in each build, or none at all?"""

from __future__ import annotations

import importlib.util
import marshal
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(ROOT / ".envs/uv/bin/uv")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
#: The first two fields of a .pyc: whose it is, and that its source is not looked at. PEP 552.
HEAD = importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little")
SOURCES = {
    "app/__init__.py": "",
    "app/one.py": 'def has(name):\n    return name in {"x", "y", "z"}\n',
    "app/deep/two.py": "from app.one import has\n",
}


def built(folder: Path) -> Path:
    for name, text in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def compiled(folder: Path, *target: str, **environ: str) -> str:
    """What is said when byte code is made for the target, which succeeds in any case."""
    done = subprocess.run(
        [sys.executable, ROOT / "infra/bytecode.py", folder, "--uv", UV, *target],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def shipped(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.suffix in {".py", ".pyc"})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def byte_code(files: dict[str, bytes]) -> dict[str, bytes]:
    """By the names of the sources."""
    sources = {name for name in files if name.endswith(".py")}
    kept = {name: importlib.util.cache_from_source(name, optimization="") for name in sources}
    assert files.keys() <= sources | set(kept.values())
    return {name: files[cached] for name, cached in kept.items() if cached in files}


@pytest.mark.parametrize(
    "target",
    [("--python", sys.executable), ("--python-version", HERE, "--compiler", sys.executable)],
)
def test_each_module_has_byte_code_of_the_target(tmp_path: Path, target: tuple[str, ...]) -> None:
    assert compiled(built(tmp_path), *target) == ""
    made = byte_code(shipped(tmp_path))
    assert made.keys() == SOURCES.keys()
    for name, content in made.items():
        assert content.startswith(HEAD)
        assert marshal.loads(content[16:]).co_filename == f"/var/task/{name}"


def test_byte_code_is_the_same_wherever_and_however_it_is_made(tmp_path: Path) -> None:
    one, other = built(tmp_path / "one"), built(tmp_path / "another/folder")
    compiled(one, "--python", sys.executable, PYTHONHASHSEED="1", PYTHONDONTWRITEBYTECODE="1")
    compiled(other, "--python", sys.executable, PYTHONHASHSEED="2", PYTHONOPTIMIZE="2")
    assert byte_code(shipped(one)) == byte_code(shipped(other)) != {}


def test_byte_code_is_read_and_its_source_is_not(tmp_path: Path) -> None:
    compiled(built(tmp_path), "--python", sys.executable)
    (tmp_path / "app/one.py").write_text("raise SystemExit('compiled anew')\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import app.deep.two as t; t.has(1)"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("compiler", ["", sys.executable, "/no/such/python"])
def test_no_byte_code_of_another_version_is_left(tmp_path: Path, compiler: str) -> None:
    compiled(built(tmp_path), "--python", sys.executable)
    message = compiled(tmp_path, "--python-version", "3.99", "--compiler", compiler)
    assert message.startswith(f"WARNING: {tmp_path} has no byte code")
    assert "uv python install 3.99" in message
    assert compiler in message
    assert shipped(tmp_path).keys() == SOURCES.keys()


@pytest.mark.slow
def test_bundles_have_byte_code_and_are_the_same_in_two_builds(tmp_path: Path) -> None:
    target = f"LAMBDA_TARGET=--python {sys.executable}"
    one, _ = bundled(tmp_path / "one", target)
    other, _ = bundled(tmp_path / "another/folder", target)
    assert one.read_bytes() == other.read_bytes()
    made, sources = byte_code(zipped(one)), {name for name in zipped(one) if name.endswith(".py")}
    assert "push_dispatch/handlers/dispatch.py" in sources
    assert made.keys() == sources
    assert all(content.startswith(HEAD) for content in made.values())


@pytest.mark.slow
def test_bundles_are_built_where_nothing_can_make_byte_code(tmp_path: Path) -> None:
    made, message = bundled(tmp_path, "LAMBDA_PYTHON=/no/such/python")
    assert "has no byte code" in message
    assert "push_dispatch/handlers/dispatch.py" in zipped(made)
    assert not byte_code(zipped(made))


def bundled(folder: Path, *given: str) -> tuple[Path, str]:
    """The zip file of what most functions need, and what was said."""
    done = subprocess.run(
        ["make", "bundle-base", f"BUNDLES_DIR={folder}", f"PYTHON={sys.executable}", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )
    return folder / "base.zip", done.stdout


def zipped(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as made:
        return {name: made.read(name) for name in made.namelist() if name.endswith((".py", ".pyc"))}
