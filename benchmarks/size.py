"""How large is what `pip install 'push-dispatch[cli,local]'` puts on the disk?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.world import figure

__all__ = ["main"]

_PROJECT = Path(__file__).parent.parent
#: With the emulator, which `local` needed then.
WAS = 57


def main() -> None:
    """Print the megabytes, and the largest packages. Needs an index of packages."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        uv = next((p for p in (_PROJECT / ".envs/uv/bin/uv",) if p.exists()), Path("uv"))
        install = [str(uv), "pip", "install", "--quiet", "--target", str(site)]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        wanted = [f"--python={version}", f"{_PROJECT}[cli,local]"]
        subprocess.run([*install, *wanted], check=True, timeout=600)
        sizes = {package.name: _size(package) for package in site.iterdir()}
    print("what pip install 'push-dispatch[cli,local]' puts on the disk")
    figure("all", f"{sum(sizes.values()) / 1e6:.0f} MB", f"{WAS / 2:.0f} MB", f"{WAS} MB")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:5]:
        print(f"    {name:<42} {size / 1e6:>7.1f} MB")


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
