"""How does a built function become a zip file that is the same whenever its content is?

`python infra/bundle.py FOLDER FILE`: Terraform deploys anew what has another checksum, so neither
times nor the order of a folder go into the file, nor what an installer notes about itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

#: Where and when something was installed, in its dist-info.
_NOTES = {"direct_url.json", "uv_cache.json", "INSTALLER", "RECORD", "REQUESTED"}
#: The first time that a zip file can tell.
_TIME = (1980, 1, 1, 0, 0, 0)


def bundle(folder: Path, file: Path) -> None:
    """Write what a function needs of `folder` to `file`. Raises OSError."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    with ZipFile(file, "w", ZIP_DEFLATED) as made:
        for path in found:
            if not _is_note(path):
                made.writestr(_entry(path.relative_to(folder)), path.read_bytes())


def _is_note(path: Path) -> bool:
    if path.parent.suffix == ".dist-info" and path.name in _NOTES:
        return True
    return path.name == ".lock"


def _entry(path: Path) -> ZipInfo:
    entry = ZipInfo(path.as_posix(), _TIME)
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o644 << 16  # Lambda's user has to be able to read it
    return entry


if __name__ == "__main__":
    bundle(Path(sys.argv[1]), Path(sys.argv[2]))
