#!/usr/bin/env bash
# Do the quick tests pass on the functions' interpreter, and on the oldest one that is supported? `make test`
# has run on one interpreter; this runs them on those of the two that it was not.
set -euo pipefail

readonly WANTED=(3.13 3.11)
uv=$(command -v uv || echo .envs/uv/bin/uv) # make has put it there
used=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# find_python VERSION: print the path of an interpreter that works. A shim of pyenv may be there without one.
find_python() {
  local candidate
  for candidate in \
    "$(command -v "python$1" || true)" \
    "$("$uv" python find --no-project "$1" 2>/dev/null || true)" \
    "$(pyenv root 2>/dev/null || echo /nowhere)/versions/$1."*/bin/python; do
    if "$candidate" -c "import ssl, sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

echo "make test ran on Python $used"
missing=()
ran=0
for version in "${WANTED[@]}"; do
  [[ $version == "$used" ]] && continue
  if ! python=$(find_python "$version"); then
    missing+=("$version")
    continue
  fi
  echo "--- Python $version, $python"
  make --no-print-directory test VENV=".envs/python$version" PYTHON="$python"
  ran=1
done
for version in "${missing[@]}"; do
  echo "!!! NOT TESTED on Python $version: there is no such interpreter on this machine"
done
((ran)) || exit 77
