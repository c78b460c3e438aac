#!/usr/bin/env bash
# Does template.yaml keep to checkov's policies, but for those skipped with a reason in .checkov.yaml?
set -euo pipefail

if ! make --no-print-directory env-checkov; then
  echo "checkov could not be installed into .envs/checkov: is the package index within reach?"
  exit 77
fi
unset BC_API_KEY PRISMA_API_URL # nobody's account
.envs/checkov/bin/checkov --config-file .checkov.yaml --file template.yaml

# A linter that reads nothing finds nothing: a bucket that anybody may write to has to be found.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed 's/^Resources:/&\n  Anybody: {Type: AWS::S3::Bucket, Properties: {AccessControl: PublicReadWrite}}/' template.yaml >"$work/open.yaml"
if .envs/checkov/bin/checkov --config-file .checkov.yaml --file "$work/open.yaml" >"$work/found"; then
  echo "checkov has overlooked a bucket that anybody may write to"
  exit 1
fi
grep --quiet CKV_AWS_57 "$work/found"
echo "checkov finds nothing in template.yaml, and a planted bucket in a copy of it"
