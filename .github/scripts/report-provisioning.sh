#!/usr/bin/env bash
# report-provisioning.sh: reports to the service that this run has begun.
set -euo pipefail

exec bash "$(dirname "$0")/callback.sh" status=provisioning
