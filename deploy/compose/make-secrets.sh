#!/bin/sh
# make-secrets.sh: makes the secrets that nobody has to choose, in ./secrets, and empty files (0600) for those
# that the vendors give. Existing ones stay as they are.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
for name in postgres_password api_token pulumi_passphrase; do
  [ -s "secrets/$name" ] || random > "secrets/$name"
done
[ -s secrets/database_url ] ||
  printf 'postgres://agents:%s@postgres:5432/agents' "$(cat secrets/postgres_password)" > secrets/database_url
for name in stripe_secret_key stripe_webhook_secret hcloud_token tailscale_oauth_client_secret; do
  [ -e "secrets/$name" ] || : > "secrets/$name"
  [ -s "secrets/$name" ] || echo "Fill in: $PWD/secrets/$name"
done
# The containers' user reads them; the folder above stays closed.
chmod 0644 secrets/*
