#!/bin/sh
# OpenSSH's ProxyCommand: TAILSCALE SOCKET HOST PORT. While there is no path to a device yet, such as one that
# has just joined, the packet that opens a WireGuard connection gets lost, and is repeated after five seconds
# at the earliest. Tailscale's own ping opens no connection, so it can be repeated immediately. It is answered
# once there is a path. If no ping is answered, ssh tries anyway.
set -eu

# TAILSCALE SOCKET HOST COUNT TIMEOUT. A relay is a path too. But the program lingers for a second after an
# answer that came through one, and then fails, because it waits for a direct path. So only what it prints
# counts.
is_answered() {
  {
    "$1" --socket="$2" ping --c="$4" --timeout="$5" -- "$3" 2>/dev/null &
    echo "$!"
  } | {
    read -r ping
    answered=false
    while read -r said; do
      case "$said" in
        'pong '*)
          answered=true
          break
          ;;
      esac
    done
    kill "$ping" 2>/dev/null || true
    "$answered"
  }
}

# The first ping is what makes both ends look for a path, and is lost itself. Where the answer takes longer
# than the short time-out, the long one gets it.
reaches() {
  is_answered "$1" "$2" "$3" 3 100ms && return
  tries=0
  until is_answered "$1" "$2" "$3" 1 300ms; do
    tries=$((tries + 1))
    test "$tries" -lt 10 || return
    sleep 0.1
  done
}

reaches "$@" || true
exec "$1" --socket="$2" nc -- "$3" "$4"
