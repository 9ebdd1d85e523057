#!/usr/bin/env bash
# start-heartbeat.sh PID: starts heartbeat.sh in the background. PID: the runner's own process.
set -euo pipefail

[[ ${HEARTBEAT_SECONDS:-} =~ ^[1-9][0-9]*$ ]] || HEARTBEAT_SECONDS=60
export HEARTBEAT_SECONDS

# It gets its own session and no terminal, because it must outlive this step. (macOS has no setsid.)
setsid=(setsid)
command -v setsid > /dev/null ||
  setsid=(python3 -c 'import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])')
"${setsid[@]}" nohup bash "$(dirname "$0")/heartbeat.sh" "$1" \
  > "$RUNNER_TEMP/heartbeat.log" 2>&1 < /dev/null &
# Waits until it runs in its own session: before that, the end of this step would kill it.
for ((i = 0; i < 100; i += 1)); do
  [[ ! -s $RUNNER_TEMP/heartbeat.pid ]] || break
  sleep 0.1
done
echo "Heartbeat every $HEARTBEAT_SECONDS s in process $(< "$RUNNER_TEMP/heartbeat.pid")"
