#!/usr/bin/env bash
# report-running.sh: reports to the service that the operation has succeeded, with its results (SERVER_ID,
# SERVER_IP, TAILSCALE_IP; empty if the operation creates no server).
set -euo pipefail

exec bash "$(dirname "$0")/callback.sh" status=running \
  "server_id=$SERVER_ID" "server_ip=$SERVER_IP" "tailscale_ip=$TAILSCALE_IP"
