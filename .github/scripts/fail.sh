# shellcheck shell=bash
# Sourced: fail MESSAGE [STATUS] ends the script with an error that the run's page shows.
fail() {
  # What is quoted stays one line: a second one could be a command to the runner.
  local message=${1//'%'/%25}
  message=${message//$'\r'/%0D}
  echo "::error::${message//$'\n'/%0A}" >&2
  exit "${2:-1}"
}
