#!/usr/bin/env bash
# Does the documentation site build without a warning? Links and anchors are checked by the build.
# Is every page there as Markdown, too, and in llms.txt?
set -euo pipefail
make --no-print-directory docs
cd docs
missing=0
while read -r page; do
  twin="${page/README.md/index.md}"
  if [[ ! -s ../build/site/$twin ]] || ! grep -qF "$twin" ../build/site/llms.txt; then
    echo "not in the site as Markdown, or not in llms.txt: $page"
    missing=1
  fi
done < <(find . -name '*.md' -printf '%P\n')
exit "$missing"
