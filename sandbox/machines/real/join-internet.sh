#!/bin/sh
# Connects the network namespace that this runs in to the internet, as Hetzner connects a server: with its own
# address (/32) on eth0, and the same gateway for all. LINK: the internet's end of the link, which is removed
# with the namespace. INTERNET: the path of the internet's namespace. IPV4 and IPV6: addresses without a
# prefix length, empty if there is none.
set -eu

# The host may not support IPv6.
test -e /proc/sys/net/ipv6 || IPV6=
ip link set lo up
# The kernel may not have removed the link of an earlier boot yet.
nsenter --net="$INTERNET" ip link delete "$LINK" 2>/dev/null || true
ip link add eth0 type veth peer name "$LINK" netns "$INTERNET"
ip link set eth0 up
# shellcheck disable=SC2016 # the inner shell expands them
nsenter --net="$INTERNET" sh -eu -c '
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
# shellcheck disable=SC2153 # set by the caller, like IPV6
test -z "$IPV4" || {
  ip address add "$IPV4/32" dev eth0
  ip route add 172.31.1.1 dev eth0 scope link
  ip route add default via 172.31.1.1 dev eth0
}
test -z "$IPV6" || {
  ip -6 address add "$IPV6/64" dev eth0 nodad
  ip -6 route add default via fe80::1 dev eth0
}
