#!/usr/bin/env bash
# report-failed.sh: reports to the service why the operation failed: with the error of the operation itself
# (ERROR, FAILED_STEP), or else with the failed step of the workflow (STEPS: the context `steps` as JSON).
set -euo pipefail

if [[ -z $FAILED_STEP ]]; then
  FAILED_STEP=$(
    python3 -c '
import json, os
steps = json.loads(os.environ["STEPS"])
print(next((name for name, step in steps.items() if step["outcome"] == "failure"), "workflow"))'
  )
fi
run="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
exec bash "$(dirname "$0")/callback.sh" status=failed \
  "error=${ERROR:-The step $FAILED_STEP of the workflow failed: $run}" "failed_step=$FAILED_STEP"
