#!/usr/bin/env bash
# Is template.yaml valid for SAM, and does it build?
set -euo pipefail

make --no-print-directory env-sam
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1
.envs/sam/bin/sam validate --lint
.envs/sam/bin/sam build
for name in DispatchFunction PushEcsFunction FinishFunction SweepFunction SubmitFunction NotifyFunction; do
  test -e ".aws-sam/build/$name/push_dispatch/__init__.py"
done
# Where there is no such interpreter there is no byte code, but never that of another.
if find .aws-sam/build -name '*.pyc' | grep -v '\.cpython-313\.pyc$'; then
  echo "that is not for Lambda's interpreter"
  exit 1
fi
