#!/usr/bin/env bash
# report-provisioning.sh: tells the service that this run has begun.
set -euo pipefail

exec bash "$(dirname "$0")/callback.sh" status=provisioning
