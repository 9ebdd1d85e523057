#!/bin/sh
# OpenSSH's ProxyCommand: TAILSCALE SOCKET HOST PORT. While there is no path to a device yet, such as one that
# has just joined, the packet that opens a WireGuard connection gets lost, and is repeated after five seconds
# at the earliest. Tailscale's own ping opens no connection, so it can be repeated immediately. It is answered
# once there is a path. If no ping is answered, ssh tries anyway.
set -eu
tries=0
until "$1" --socket="$2" ping --c=1 --timeout=300ms -- "$3" >/dev/null 2>&1 || test "$tries" -ge 10; do
  tries=$((tries + 1))
  sleep 0.1
done
exec "$1" --socket="$2" nc -- "$3" "$4"
