#!/usr/bin/env bash
# Are containers what the Engine's own description of its API allows? Debian has it in a package.
set -euo pipefail

package=golang-github-docker-docker-dev
inside=./usr/share/gocode/src/github.com/docker/docker/api/swagger.yaml
file=.envs/engine/swagger.yaml

if [[ ! -s $file ]]; then
  if ! command -v apt-get >/dev/null; then
    echo "the Engine's API description is missing, and there is no apt-get to get it"
    exit 77
  fi
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  if ! { apt-get update -q && (cd "$folder" && timeout 300 apt-get download "$package"); } >&2; then
    echo "$package cannot be downloaded: is the package index within reach?"
    exit 77
  fi
  mkdir -p "$(dirname "$file")"
  dpkg-deb --fsys-tarfile "$folder"/*.deb | tar -xO "$inside" >"$file.new"
  mv "$file.new" "$file"
fi
.venv/bin/pytest -m slow tests/contract/test_engine_schema.py
