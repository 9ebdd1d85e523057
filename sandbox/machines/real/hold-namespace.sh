#!/bin/sh
# Keeps a network namespace on the world, for as long as this process lives. Says so once it is connected.
set -eu

. "$(dirname "$0")/join-internet.sh"
echo connected
exec sleep infinity
