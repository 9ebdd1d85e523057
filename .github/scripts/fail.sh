# shellcheck shell=bash
# Sourced: fail MESSAGE [STATUS] ends the script with an error that the run's page shows.
fail() {
  # Keeps quoted text on one line: the runner could take a second line for a command.
  local message=${1//'%'/%25}
  message=${message//$'\r'/%0D}
  echo "::error::${message//$'\n'/%0A}" >&2
  exit "${2:-1}"
}
