#!/bin/sh
# Boots one machine: systemd on an overlay over the base, in namespaces that only its processes hold. Runs in
# network and mount namespaces of its own, in the machine's folder (base, a link; upper; work; root), and
# becomes the parent of systemd-nspawn, with its exit code: 0 after the machine switched itself off, 133 after
# it asked for a reboot. CGROUP: the name of its control group. SOURCE: the name of its root mount.
# MACHINE_NAME: its first hostname. INTERNET, LINK, IPV4, IPV6: see join-internet.sh.
set -eu

. "$(dirname "$0")/join-internet.sh"

# Relative, so that no character of the path can be special to mount.
mount -t overlay "$SOURCE" -o lowerdir=base,upperdir=upper,workdir=work root
cd root
# Whatever a killed systemd-nspawn leaves stays here, not on the host.
mount -t tmpfs tmpfs /run
mkdir /run/machine
touch /run/network
mount --bind . /run/machine
mount --bind /proc/self/ns/net /run/network
cd /
mount -t tmpfs tmpfs /tmp

# The machine may change the kernel's settings for its own network, as on a real server; the others are this
# host's.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network

# In a process namespace of its own, which kills everything in it when it ends: a killed systemd-nspawn alone
# would leave its machine running. And in a control group of its own, in every tree where systemd keeps its
# services: two machines in one group would kill each other's.
# shellcheck disable=SC2016 # the inner shell expands them
exec unshare --pid --fork --kill-child --mount-proc sh -euc '
  for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    test -f "$tree/cgroup.procs" || continue
    mkdir -p "$tree/$CGROUP"
    echo 0 >"$tree/$CGROUP/cgroup.procs"
  done
  exec systemd-nspawn "$@"' systemd-nspawn \
  --quiet --boot --register=no --keep-unit --settings=no --link-journal=no --console=pipe \
  --directory=/run/machine --machine="$LINK" --hostname="$MACHINE_NAME" \
  --network-namespace-path=/run/network --capability=CAP_NET_ADMIN --bind=/dev/net/tun \
  --resolv-conf=off --timezone=off
