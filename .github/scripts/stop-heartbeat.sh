#!/usr/bin/env bash
# stop-heartbeat.sh: ends heartbeat.sh, if it was started, and prints what it has said.
set -euo pipefail

if [[ ! -s $RUNNER_TEMP/heartbeat.pid ]]; then exit; fi
pid=$(< "$RUNNER_TEMP/heartbeat.pid")
# The negative number is the whole group: the loop and what it waits for.
kill -- "-$pid" 2> /dev/null || true
for ((i = 0; i < 10; i += 1)); do
  kill -0 -- "-$pid" 2> /dev/null || break
  sleep 0.1
done
kill -KILL -- "-$pid" 2> /dev/null || true
rm -f "$RUNNER_TEMP/heartbeat.pid"
# What the service and the network answered is in it: nothing of that is a command to the runner.
token=$(openssl rand -hex 24)
echo "::stop-commands::$token"
cat "$RUNNER_TEMP/heartbeat.log"
echo "::$token::"
echo "Heartbeat stopped"
