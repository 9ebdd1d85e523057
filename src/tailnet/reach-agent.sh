#!/bin/sh
# OpenSSH's ProxyCommand: TAILSCALE SOCKET HOST PORT. While there is no path to a device yet, such as one that
# has just joined, the packet that opens a WireGuard connection gets lost, and is repeated after five seconds
# at the earliest. Tailscale's own ping opens no connection, so it can be repeated immediately. It is answered
# once there is a path. If no ping is answered, ssh tries anyway.
set -eu

# A relay is a path too. But the program lingers for a second after an answer that came through one, and then
# fails, because it waits for a direct path. So only the first line that it prints counts.
is_answered() {
  {
    "$1" --socket="$2" ping --c=1 --timeout=300ms -- "$3" 2>/dev/null &
    echo "$!"
  } | {
    read -r ping
    read -r said || said=
    kill "$ping" 2>/dev/null || true
    case "$said" in
      'pong '*) true ;;
      *) false ;;
    esac
  }
}

tries=0
until is_answered "$@" || test "$tries" -ge 10; do
  tries=$((tries + 1))
  sleep 0.1
done
exec "$1" --socket="$2" nc -- "$3" "$4"
