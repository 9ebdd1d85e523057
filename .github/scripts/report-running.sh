#!/usr/bin/env bash
# report-running.sh: tells the service that the operation is done, and what it made (SERVER_ID, SERVER_IP,
# TAILSCALE_IP; empty where the operation makes no server).
set -euo pipefail

exec bash "$(dirname "$0")/callback.sh" status=running \
  "server_id=$SERVER_ID" "server_ip=$SERVER_IP" "tailscale_ip=$TAILSCALE_IP"
