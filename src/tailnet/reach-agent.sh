#!/bin/sh
# OpenSSH's ProxyCommand: TAILSCALE SOCKET HOST PORT. The packet that opens a WireGuard connection is lost where there is no path yet,
# as to a device that has joined a moment ago, and is sent again after five seconds at the earliest. A ping of Tailscale's own
# opens nothing, so it can be tried again at once. It is answered when there is a path; without an answer ssh has its chance all the same.
set -eu
tries=0
until "$1" --socket="$2" ping --c=1 --timeout=300ms -- "$3" >/dev/null 2>&1 || test "$tries" -ge 10; do
  tries=$((tries + 1))
  sleep 0.1
done
exec "$1" --socket="$2" nc -- "$3" "$4"
