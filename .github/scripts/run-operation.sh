#!/usr/bin/env bash
# run-operation.sh: runs the operation, with the agents' secret environment in a file if there is one.
set -euo pipefail

if [[ -n ${AGENT_ENVIRONMENT:-} ]]; then
  export AGENT_ENVIRONMENT_FILE=$RUNNER_TEMP/agent.env
  (umask 077 && printf '%s\n' "$AGENT_ENVIRONMENT" > "$AGENT_ENVIRONMENT_FILE")
fi
unset AGENT_ENVIRONMENT
# Replaces this shell: a signal that ends the step must end the work.
exec node tools/runner.mjs
