#!/bin/sh
# Boots one machine: systemd on an overlay over the base, in namespaces that nothing but its processes holds. Runs in
# network and mount namespaces of its own, in the machine's folder (base, a link; upper; work; root), and becomes the
# parent of systemd-nspawn, whose end is the machine's: 0 after it switched itself off, 133 after it asked for a reboot.
# CGROUP: the name of its control group. SOURCE: the name of its root mount. MACHINE_NAME: its first name.
# WORLD, LINK, IPV4, IPV6: as join-internet.sh takes them.
set -eu

. "$(dirname "$0")/join-internet.sh"

# Relative, so that no letter of the path can mean something to mount.
mount -t overlay "$SOURCE" -o lowerdir=base,upperdir=upper,workdir=work root
cd root
# What systemd-nspawn leaves behind when it is killed is left here, not on the host.
mount -t tmpfs tmpfs /run
mkdir /run/machine
touch /run/network
mount --bind . /run/machine
mount --bind /proc/self/ns/net /run/network
cd /
mount -t tmpfs tmpfs /tmp

# The kernel's settings for its own network are its own, as on a real server; the others are this host's.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network

# In a process namespace of its own, whose end is the end of all in it: systemd-nspawn that is killed leaves its machine
# running. And in a control group of its own, in every tree that systemd keeps its services in: two machines in one
# would end each other's.
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
