#!/bin/sh
# An independent runner, written from docs/github-actions.md, _Callbacks_, alone: sends every line of standard
# input as a callback and prints the status of each answer. CALLBACK_URL and CALLBACK_SECRET are in the
# environment.
while IFS= read -r body; do
  signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac "$CALLBACK_SECRET" | sed 's/^.*= //')
  printf '%s' "$body" | curl --silent --output /dev/null --write-out '%{http_code}\n' --max-time 30 \
    --header "X-Signature: $signature" --header 'Content-Type: application/json' --data-binary @- "$CALLBACK_URL"
done
