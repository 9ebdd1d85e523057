#!/usr/bin/env bash
# heartbeat.sh PID: tells the service that this job lives, for as long as the process PID does.
# A runner that was killed must not seem alive: nothing else would end this loop then.
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
