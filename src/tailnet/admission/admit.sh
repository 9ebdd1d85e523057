#!/bin/sh
# Prepares a server that was made by hand for joining the tailnet: run as root, and repeatable. Exit code 3:
# it cannot become an agent's, and the last line of stderr says why, in a word of refusals.ts. JOIN_NAME: the
# hostname under which it joins. HEALTH_PORT: where its agent will answer. HOST_PRIVATE_KEY, HOST_PUBLIC_KEY:
# the host key that it shows from now on. OWN_PATHS, SHARED_PATHS, KERNEL_SETTINGS: what-it-writes.ts.
set -eu
umask 077

# How the server was before the first attempt, for undo.sh, and the name under which we have let it join.
before=/var/lib/agent-adoption

refuse() {
  echo "refused: $1" >&2
  exit 3
}

exists() {
  test -e "/$1" || test -L "/$1"
}

# "tailscale up" would run over any login that there is, also one that is switched off or has expired. Ours
# has the name that nobody else can guess, which only the preferences say until it has joined.
check_login() {
  is_ours=false
  command -v tailscale >/dev/null || return 0
  tries=0
  while :; do
    status=$(tailscale status --json --peers=false 2>/dev/null) || status=''
    case "$status" in '' | *'"BackendState": "NoState"'*) ;; *) break ;; esac
    test "$tries" -lt 30 || refuse tailscale
    tries=$((tries + 1))
    sleep 1
  done
  if test -e "$before/joined" && test "$(cat "$before/joined")" = "$JOIN_NAME"; then
    case "$status $(tailscale debug prefs 2>/dev/null)" in
      *"\": \"$JOIN_NAME\""*) is_ours=true && return 0 ;;
    esac
  fi
  case "$status" in
    *'"HaveNodeKey": true'*) refuse tailnet ;;
    *'"BackendState": "NeedsLogin"'*) ;;
    *) refuse tailnet ;;
  esac
}

# Whatever the playbook replaces or creates must be kept, or must not be there: undo.sh removes what is absent
# now.
check_free() {
  test -z "$(ss -Hltn "sport = :$HEALTH_PORT")" || refuse port
  # Tailscale keeps its login when its package is removed.
  if ! command -v tailscale >/dev/null && test -s /var/lib/tailscale/tailscaled.state; then refuse tailnet; fi
  for path in $OWN_PATHS; do
    if exists "$path"; then refuse "path $path"; fi
  done
  if systemctl cat agent.service >/dev/null 2>&1; then refuse unit; fi
  if getent passwd agent >/dev/null || getent group agent >/dev/null; then refuse account; fi
  if nft list table inet agent >/dev/null 2>&1; then refuse firewall; fi
}

# In one piece: a folder that is there is complete.
keep() {
  rm -rf "$before.new"
  mkdir "$before.new"
  systemctl is-enabled nftables.service >"$before.new/nftables" 2>/dev/null || true
  for path in $OWN_PATHS $SHARED_PATHS; do
    exists "$path" || echo "$path"
  done >"$before.new/absent"
  (
    cd /
    for path in $SHARED_PATHS; do
      if exists "$path"; then echo "$path"; fi
      # The playbook writes to what a link names, and replaces only this one.
      if test -L "$path" && test "$path" != etc/localtime; then
        realpath -eq --relative-to=. "$path" || true
      fi
    done | sort -u | tar -cpf "$before.new/files.tar" --files-from=-
  )
  for setting in $KERNEL_SETTINGS; do
    echo "/proc/sys/$(echo "$setting" | tr . /)"
  done >"$before.new/settings"
  # The kernel changes these with the one for all interfaces.
  printf '%s\n' /proc/sys/net/ipv[46]/conf/*/forwarding >>"$before.new/settings"
  while read -r file; do
    if test -r "$file"; then echo "$file $(cat "$file")"; fi
  done <"$before.new/settings" >"$before.new/kernel"
  mv "$before.new" "$before"
}

# shellcheck source=/dev/null
. /etc/os-release
case "$ID $VERSION_ID" in
  'debian 12' | 'debian 13' | 'ubuntu 24.04') ;;
  *) refuse system ;;
esac
test -d /run/systemd/system || refuse systemd
check_login
# An earlier attempt has done all this, and was killed before it saw the device.
if "$is_ours"; then
  case "$status" in *'"BackendState": "Running"'*) exit 0 ;; esac
fi
if ! test -d "$before"; then
  check_free
  keep
fi

# Where the role `agent` keeps it, so that its run changes nothing.
printf '%s\n' "$HOST_PRIVATE_KEY" >/etc/ssh/agent_host_ed25519_key
printf '%s\n' "$HOST_PUBLIC_KEY" >/etc/ssh/agent_host_ed25519_key.pub
chmod 0644 /etc/ssh/agent_host_ed25519_key.pub
printf 'HostKey /etc/ssh/agent_host_ed25519_key\n' >/etc/ssh/sshd_config.d/01-agent-host-key.conf
if ! /usr/sbin/sshd -t; then
  rm -f /etc/ssh/sshd_config.d/01-agent-host-key.conf
  refuse sshd
fi
systemctl reload ssh.service
