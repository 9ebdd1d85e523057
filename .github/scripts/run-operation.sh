#!/usr/bin/env bash
# run-operation.sh: carries the operation out, with the agents' secret environment in a file where there is one.
set -euo pipefail

if [[ -n ${AGENT_ENVIRONMENT:-} ]]; then
  export AGENT_ENVIRONMENT_FILE=$RUNNER_TEMP/agent.env
  (umask 077 && printf '%s\n' "$AGENT_ENVIRONMENT" > "$AGENT_ENVIRONMENT_FILE")
fi
unset AGENT_ENVIRONMENT
# Not in its background: a signal that ends the step must end the work.
exec npm run --silent runner
