#!/usr/bin/env bash
# stop-heartbeat.sh: ends heartbeat.sh, if it was started, and prints its log.
set -euo pipefail

if [[ ! -s $RUNNER_TEMP/heartbeat.pid ]]; then exit; fi
pid=$(< "$RUNNER_TEMP/heartbeat.pid")
# A negative number means the whole process group: the loop and its current command.
kill -- "-$pid" 2> /dev/null || true
for ((i = 0; i < 10; i += 1)); do
  kill -0 -- "-$pid" 2> /dev/null || break
  sleep 0.1
done
kill -KILL -- "-$pid" 2> /dev/null || true
rm -f "$RUNNER_TEMP/heartbeat.pid"
# The log quotes answers of the service and the network: the runner must not take them for commands.
token=$(openssl rand -hex 24)
echo "::stop-commands::$token"
cat "$RUNNER_TEMP/heartbeat.log"
echo "::$token::"
echo "Heartbeat stopped"
