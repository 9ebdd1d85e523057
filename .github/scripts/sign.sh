#!/usr/bin/env bash
# sign.sh: prints the HMAC-SHA256 of standard input under GITHUB_CALLBACK_SECRET, in hexadecimal.
# Every process of the machine could read the argument of `openssl dgst -sha256 -hmac KEY`. Here the key only
# goes through pipes (RFC 2104, section 2).
set -euo pipefail
export LC_ALL=C

# The key as hexadecimal digits, two per byte.
key=$(printf %s "$GITHUB_CALLBACK_SECRET" | od -An -v -tx1 | tr -d ' \n')
# A key longer than a block (64 bytes) is replaced by its hash.
if ((${#key} > 128)); then
  key=$(printf %s "$GITHUB_CALLBACK_SECRET" | openssl dgst -sha256 -r | cut -c 1-64)
fi
inner='' outer=''
for ((i = 0; i < 128; i += 2)); do
  byte=${key:i:2}
  printf -v pad '\\x%02x' "$((16#${byte:-0} ^ 0x36))"
  inner+=$pad
  printf -v pad '\\x%02x' "$((16#${byte:-0} ^ 0x5c))"
  outer+=$pad
done
{
  printf %b "$outer"
  { printf %b "$inner" && cat; } | openssl dgst -sha256 -binary
} | openssl dgst -sha256 -r | cut -c 1-64
