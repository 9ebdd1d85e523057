#!/usr/bin/env bash
# heartbeat.sh PID: reports to the service that this job is alive, for as long as the process PID runs.
# If the runner is killed, nothing else would end this loop, and the job would seem alive.
set -euo pipefail

echo "$$" > "$RUNNER_TEMP/heartbeat.pid"
# A minute longer than the job may last.
until ((SECONDS > 16 * 60)); do
  status=0
  bash "$(dirname "$0")/callback.sh" type=heartbeat || status=$?
  echo "$(date -u +%FT%TZ) heartbeat: $status"
  # The attempt is over.
  if ((status == 9)); then exit; fi
  sleep "$HEARTBEAT_SECONDS"
  kill -0 "$1" || exit
done
