#!/bin/sh
# Gives a server back to its owner whose adoption has failed: its own host key, firewall and settings, and no
# way in for this service. Run as root; repeatable, as long as the service can log in. Packages stay, and so
# do settings that the kernel takes back only at a restart: it names them.
#
# It removes what admit.sh has found absent, and leaves alone what admit.sh has not looked at: a server that
# was refused has no such record, and loses the account `ops` only.
set -eu

before=/var/lib/agent-adoption
if test -d "$before"; then
  systemctl disable --now agent.service 2>/dev/null || true
  nft delete table inet agent 2>/dev/null || true
  # Only what the playbook has changed, and in its order: forwarding changes settings that come after it.
  if test -e /etc/sysctl.d/60-agent.conf; then
    while read -r file value; do
      if test "$(cat "$file" 2>/dev/null)" = "$value"; then continue; fi
      { echo "$value" >"$file"; } 2>/dev/null || echo "$file cannot be $value again before a restart"
    done <"$before/kernel"
  fi
  while read -r path; do rm -rf "/${path:?}"; done <"$before/absent"
  tar -C / -xpf "$before/files.tar"
  # Its rules still apply, beside ours. Loading them again would flush those of Docker and Tailscale.
  test "$(cat "$before/nftables")" = enabled || systemctl disable nftables.service 2>/dev/null || true
  userdel agent 2>/dev/null || true
  groupdel agent 2>/dev/null || true
  systemctl daemon-reload
  systemctl restart systemd-journald.service || true
  systemctl reload ssh.service
fi
# This connection may come through the tailnet, so the rest waits until it has ended. A login that has not the
# name under which we have let it join is its owner's.
# shellcheck disable=SC2016 # for the shell that it starts
systemd-run --quiet --collect --on-active=3 --unit=agent-undo /bin/sh -c '
  if test -s /var/lib/agent-adoption/joined; then
    case "$(tailscale status --json --peers=false; tailscale debug prefs)" in
      *"\": \"$(cat /var/lib/agent-adoption/joined)\""*) tailscale logout ;;
    esac
  fi
  rm -rf /var/lib/agent-adoption
  if test -f /etc/sudoers.d/90-agent-ops; then
    userdel --remove --force ops
    rm -f /etc/sudoers.d/90-agent-ops
  fi'
