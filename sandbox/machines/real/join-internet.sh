#!/bin/sh
# Connects the network namespace that this runs in with the world, as Hetzner connects a server: an address of its own
# (/32) on eth0, and a gateway that is the same for all. The world's end of the cable is LINK; it goes with the namespace.
# WORLD: the path of the world's namespace. IPV4 and IPV6: addresses without a length, empty where there is none.
set -eu

# A host may have no IPv6 at all.
test -e /proc/sys/net/ipv6 || IPV6=
ip link set lo up
# The kernel takes its time to remove the cable of an earlier boot.
nsenter --net="$WORLD" ip link delete "$LINK" 2>/dev/null || true
ip link add eth0 type veth peer name "$LINK" netns "$WORLD"
ip link set eth0 up
# shellcheck disable=SC2016 # the inner shell is to expand them
nsenter --net="$WORLD" sh -eu -c '
  ip link set "$LINK" up
  test -z "$IPV4" || {
    ip address add 172.31.1.1/32 dev "$LINK"
    ip route replace "$IPV4/32" dev "$LINK" src 198.18.0.1
  }
  test -z "$IPV6" || {
    ip -6 address add fe80::1/64 dev "$LINK" nodad
    ip -6 route replace "${IPV6%::*}::/64" dev "$LINK"
  }
'
# shellcheck disable=SC2153 # from the environment, as IPV6
test -z "$IPV4" || {
  ip address add "$IPV4/32" dev eth0
  ip route add 172.31.1.1 dev eth0 scope link
  ip route add default via 172.31.1.1 dev eth0
}
test -z "$IPV6" || {
  ip -6 address add "$IPV6/64" dev eth0 nodad
  ip -6 route add default via fe80::1 dev eth0
}
