#!/usr/bin/env bash
# callback.sh NAME=VALUE...: sends the service a signed report about this job.
# Exits with 0 if the service accepted it, 9 if this attempt is over (409) or unknown (404), 1 otherwise.
set -euo pipefail
export LC_ALL=C
scripts=$(dirname "$0")
. "$scripts/fail.sh"

# A person who may start this workflow must not make it sign for a foreign address.
pattern='^(https?://[]A-Za-z0-9.:[-]+)(/[A-Za-z0-9/._~-]*)?/api/webhooks/github([?][A-Za-z0-9=&._~%-]*)?$'
[[ $CALLBACK_URL =~ $pattern ]] || fail 'callback_url is not the address of a service'
[[ -n ${CALLBACK_ORIGIN:-} ]] || fail 'The repository has no variable CALLBACK_ORIGIN'
[[ ${BASH_REMATCH[1]} == "${CALLBACK_ORIGIN%/}" ]] ||
  fail 'callback_url is not at CALLBACK_ORIGIN: nothing was signed'
[[ -n ${GITHUB_CALLBACK_SECRET:-} ]] || fail 'The repository has no secret CALLBACK_SECRET'

# The service treats empty fields as absent. The end of a long text says more than its beginning.
body=$(
  python3 - "job_id=$JOB_ID" "workflow_run_id=$GITHUB_RUN_ID" "$@" << 'PYTHON'
import json, os, sys
fields = (os.fsencode(field).decode("utf-8", "replace").split("=", 1) for field in sys.argv[1:])
print(json.dumps({name: value[-4000:] for name, value in fields if value}))
PYTHON
)
signature=$(printf %s "$body" | bash "$scripts/sign.sh")

# A second proof, if the repository has a variable for it.
proof=''
if [[ -n ${OIDC_AUDIENCE:-} ]]; then
  token=$(bash "$scripts/identity-token.sh") || exit 1
  printf -v proof 'header = "Authorization: Bearer %s"\n' "$token"
fi

for pause in 0 2 4 8 16; do
  sleep "$pause"
  # curl reads address and signature from a file descriptor and the body from standard input, so that no
  # argument shows them.
  status=$(printf %s "$body" | curl --silent --show-error --globoff --request POST \
    --config <(printf 'url = "%s"\nheader = "X-Signature: %s"\n%s' "$CALLBACK_URL" "$signature" "$proof") \
    --header 'Content-Type: application/json' --data-binary @- --output "$RUNNER_TEMP/answer.$$" \
    --connect-timeout 10 --max-time 30 --write-out '%{http_code}') || status=000
  answer=$(head -c 300 "$RUNNER_TEMP/answer.$$" 2> /dev/null) || answer=''
  rm -f "$RUNNER_TEMP/answer.$$"
  case $status in
    2??) exit 0 ;;
    404 | 409) fail "The service answered $status: $answer" 9 ;;
    4??) [[ $status == 408 || $status == 429 ]] || fail "The service answered $status: $answer" ;;
  esac
  echo "The service did not accept the report (HTTP status $status)" >&2
done
fail 'The service did not accept the report'
