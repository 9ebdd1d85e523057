#!/bin/sh
# Gives a server back to its owner whose adoption has failed: its own host key, firewall and settings, and no
# way in for this service. Run as root; repeatable, as long as the service can log in. Packages stay.
set -eu

before=/var/lib/agent-adoption
systemctl disable --now agent.service 2>/dev/null || true
rm -f /etc/systemd/system/agent.service /etc/ssh/sshd_config.d/00-agent.conf \
  /etc/ssh/sshd_config.d/01-agent-host-key.conf /etc/ssh/agent_host_ed25519_key /etc/ssh/agent_host_ed25519_key.pub \
  /etc/sysctl.d/60-agent.conf /etc/apt/apt.conf.d/52agent-upgrades /etc/systemd/journald.conf.d/agent.conf \
  /usr/local/lib/agent.py /usr/local/lib/agent-hand-over.py
rm -rf /etc/agent
if test -e "$before/files.tar"; then
  tar -C / -xpf "$before/files.tar"
  if ! tar -tf "$before/files.tar" | grep -qx etc/nftables.conf; then rm -f /etc/nftables.conf; fi
  nft delete table inet agent 2>/dev/null || true
  case "$(cat "$before/nftables")" in
    enabled) systemctl reload nftables.service 2>/dev/null || true ;;
    *) systemctl disable nftables.service 2>/dev/null || true ;;
  esac
fi
systemctl daemon-reload
systemctl reload ssh.service
# This connection may come through the tailnet, so the rest waits until it has ended.
systemd-run --quiet --collect --on-active=3 --unit=agent-undo /bin/sh -c '
  tailscale logout
  rm -rf /var/lib/agent-adoption
  rm -f /etc/sudoers.d/90-agent-ops
  userdel --remove --force ops'
