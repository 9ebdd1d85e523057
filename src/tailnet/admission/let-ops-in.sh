#!/bin/sh
# Lets this service administer a server that was made by hand. Its owner runs it there, as root. OPS_KEY: the
# service's public key. It has no secret in it, and a second run changes nothing.
set -eu

granted=/etc/sudoers.d/90-agent-ops
if id ops >/dev/null 2>&1 && ! test -f "$granted"; then
  echo 'This server has an account "ops" already: rename or remove it first' >&2
  exit 1
fi
if ! command -v sudo >/dev/null; then
  echo 'This server has no sudo: install it first' >&2
  exit 1
fi
id ops >/dev/null 2>&1 || useradd --create-home --shell /bin/bash ops
mkdir -p /home/ops/.ssh
chmod 0700 /home/ops/.ssh
printf '%s\n' "$OPS_KEY" >/home/ops/.ssh/authorized_keys
chmod 0600 /home/ops/.ssh/authorized_keys
chown -R ops: /home/ops/.ssh
printf 'ops ALL=(ALL) NOPASSWD:ALL\n' >"$granted"
chmod 0440 "$granted"
echo 'The service can administer this server now.'
