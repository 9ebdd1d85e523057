#!/usr/bin/env bash
# identity-token.sh: prints GitHub's identity token for this run, for the audience OIDC_AUDIENCE.
set -euo pipefail
. "$(dirname "$0")/fail.sh"

[[ $OIDC_AUDIENCE =~ ^[A-Za-z0-9:/._-]+$ ]] || fail 'OIDC_AUDIENCE has characters that an audience must not have'
[[ -n ${ACTIONS_ID_TOKEN_REQUEST_URL:-} ]] ||
  fail 'OIDC_AUDIENCE is set, and this job lacks the permission id-token: write'
# curl reads the address and the token from a file descriptor, so that no argument shows them.
curl --silent --show-error --globoff --fail --retry 4 --connect-timeout 10 --max-time 30 \
  --config <(printf 'url = "%s&audience=%s"\nheader = "Authorization: bearer %s"\n' \
    "$ACTIONS_ID_TOKEN_REQUEST_URL" "$OIDC_AUDIENCE" "$ACTIONS_ID_TOKEN_REQUEST_TOKEN") |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["value"])'
