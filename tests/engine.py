"""A real container engine of our own: podman's Docker API on a unix socket, with its own storage.

Nothing of the machine's own engine is touched. Needs root, podman, runc, netavark and a static
busybox, which `.ci/steps/40-containers.sh` installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

__all__ = ["IMAGE", "Engine", "engine", "missing"]

#: What the tests run in: busybox, built on the spot.
IMAGE = "localhost/pd-busybox:1"

_TOOLS = ("podman", "runc", "busybox")
_CONF = """
[containers]
# Without CAP_SYS_RESOURCE the defaults cannot be set.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
_START_SECONDS = 30
_COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Engine:
    """An engine that runs, with `IMAGE` in it."""

    socket: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.socket}"}


def missing() -> str:
    """Why there can be no engine here; empty if there can."""
    if os.geteuid() != 0:
        return "an engine of our own needs root"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """Start one with its storage in this folder; stopped and emptied afterwards."""
    conf = folder / "containers.conf"
    conf.write_text(_CONF)
    env = os.environ | {"CONTAINERS_CONF": str(conf)}
    podman = [
        "podman",
        f"--root={folder / 'root'}",
        f"--runroot={folder / 'run'}",
        f"--tmpdir={folder / 'tmp'}",
    ]
    _import_image(podman, env, folder)
    socket = folder / "engine.sock"
    with (folder / "engine.log").open("wb") as log:
        service = subprocess.Popen(
            [*podman, "system", "service", "--time=0", f"unix://{socket}"],
            env=env,
            # Its monitor leaves a file named `oom` where it stands.
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(socket, service, folder / "engine.log")
        yield Engine(socket)
    finally:
        service.terminate()
        service.wait(20)
        for arguments in (["rm", "--all", "--force"], ["rmi", "--all", "--force"]):
            subprocess.run(
                [*podman, *arguments],
                env=env,
                capture_output=True,
                check=False,
                timeout=_COMMAND_SECONDS,
            )


def _import_image(podman: list[str], env: dict[str, str], folder: Path) -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None
    archive = folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for applet in ("sh", "echo", "sleep", "env", "head", "tail", "cat", "true", "test", "dd"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("tmp", "dev", "proc", "sys", "etc"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    change = "ENV PATH=/bin"
    done = subprocess.run(
        [*podman, "import", "--change", change, str(archive), IMAGE],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def _wait_for(socket: Path, service: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not socket.exists():
        assert service.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _run_one(socket: Path) -> str:
    """What a container writes. Asked for again and again instead of waited for: podman 4.3 now and
    then misses the end of a container that is quicker than the request that waits for it."""
    client = docker.DockerClient(base_url=f"unix://{socket}", timeout=_START_SECONDS)
    container = client.containers.run(
        IMAGE, ["echo", "a container runs"], network_mode="none", detach=True
    )
    deadline = time.monotonic() + _START_SECONDS
    while container.status != "exited":
        assert time.monotonic() < deadline, f"the container is {container.status}, not exited"
        time.sleep(0.05)
        container.reload()
    written: bytes = container.logs()
    return written.decode().strip()


if __name__ == "__main__":
    # Whether a container can be run here at all: exit code 0, or what is in the way.
    import sys
    import tempfile

    if why := missing():
        sys.exit(why)
    with tempfile.TemporaryDirectory() as made, engine(Path(made)) as found:
        print(_run_one(found.socket))
