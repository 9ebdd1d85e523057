#!/bin/sh
# Prepares a server that was made by hand for joining the tailnet: run as root, and repeatable. Exit code 3:
# it cannot become an agent's, and stderr says why. JOIN_NAME: the hostname under which it joins. HEALTH_PORT:
# where its agent will answer. HOST_PRIVATE_KEY, HOST_PUBLIC_KEY: the host key that it shows from now on.
set -eu
umask 077

refuse() {
  echo "$1" >&2
  exit 3
}

# shellcheck source=/dev/null
. /etc/os-release
case "$ID $VERSION_ID" in
  'debian 12' | 'debian 13' | 'ubuntu 24.04') ;;
  *) refuse "Agents run on Debian 12 and 13 and on Ubuntu 24.04; this server runs $ID $VERSION_ID" ;;
esac
test -d /run/systemd/system || refuse 'Its first process is not systemd'
if status=$(tailscale status --json --peers=false 2>/dev/null); then
  case "$status" in
    *'"BackendState": "Running"'*)
      # An earlier attempt has done all this, and was killed before it saw the device.
      case "$status" in *"\"HostName\": \"$JOIN_NAME\""*) exit 0 ;; esac
      refuse 'It is on a tailnet already: run "tailscale logout" on it first'
      ;;
  esac
fi
if ! test -e /etc/systemd/system/agent.service && test -n "$(ss -Hltn "sport = :$HEALTH_PORT")"; then
  refuse "A program on it listens on port $HEALTH_PORT, where its agent has to answer"
fi

# What the playbook writes over, for undo.sh. Kept from the first attempt, which found the server as it was.
before=/var/lib/agent-adoption
if ! test -e "$before/files.tar"; then
  mkdir -p "$before"
  systemctl is-enabled nftables.service >"$before/nftables" 2>/dev/null || true
  (
    cd /
    for file in etc/nftables.conf etc/localtime etc/timezone etc/default/locale etc/apt/apt.conf.d/20auto-upgrades; do
      if test -e "$file" || test -L "$file"; then echo "$file"; fi
    done | tar -cpf "$before/files.new" --files-from=-
  )
  mv "$before/files.new" "$before/files.tar"
fi

# Where the role `agent` keeps it, so that its run changes nothing.
printf '%s\n' "$HOST_PRIVATE_KEY" >/etc/ssh/agent_host_ed25519_key
printf '%s\n' "$HOST_PUBLIC_KEY" >/etc/ssh/agent_host_ed25519_key.pub
chmod 0644 /etc/ssh/agent_host_ed25519_key.pub
printf 'HostKey /etc/ssh/agent_host_ed25519_key\n' >/etc/ssh/sshd_config.d/01-agent-host-key.conf
if ! /usr/sbin/sshd -t; then
  rm -f /etc/ssh/sshd_config.d/01-agent-host-key.conf
  refuse 'Its sshd does not accept another host key'
fi
systemctl reload ssh.service
