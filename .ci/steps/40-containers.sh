#!/usr/bin/env bash
# The tests that need a real container engine: podman with runc, of their own, as root.
set -euo pipefail

packages=(podman runc netavark aardvark-dns iptables busybox-static)

if [[ $(id -u) != 0 ]]; then
  echo "an engine of our own needs root"
  exit 77
fi
if ! command -v podman >/dev/null || ! command -v runc >/dev/null || ! command -v busybox >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "podman, runc or busybox is missing, and there is no apt-get to install it"
    exit 77
  fi
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update -q && apt-get install -yq --no-install-recommends "${packages[@]}"; } >&2; then
    echo "podman, runc or busybox is missing and cannot be installed: ${packages[*]}"
    exit 77
  fi
fi
if ! .venv/bin/python -m tests.engine; then
  echo "podman is installed but cannot run a container here (see above)"
  exit 77
fi
.venv/bin/pytest -m containers
