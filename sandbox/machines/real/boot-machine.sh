#!/bin/sh
# Boots one machine: systemd on an overlay over the base, in namespaces that only its processes hold. The
# caller runs it in separate network and mount namespaces, in the machine's folder (base, a link; upper; work;
# root). It becomes the parent of systemd-nspawn, with its exit code: 0 if the machine switched itself off,
# 133 if it requested a reboot. CGROUP: the name of its control group. SOURCE: the name of its root mount.
# MACHINE_NAME: its first hostname. INTERNET, LINK, IPV4, IPV6: see join-internet.sh.
set -eu

. "$(dirname "$0")/join-internet.sh"

# Relative, so that no character of the path can be special to mount.
mount -t overlay "$SOURCE" -o lowerdir=base,upperdir=upper,workdir=work root
cd root
# Keeps the remains of a killed systemd-nspawn off the host.
mount -t tmpfs tmpfs /run
mkdir /run/machine
touch /run/network
mount --bind . /run/machine
mount --bind /proc/self/ns/net /run/network
cd /
mount -t tmpfs tmpfs /tmp

# The machine may change the kernel settings of its own network, as on a real server; all others belong to
# this host.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network

# Runs in a separate process namespace, whose end kills everything in it: a killed systemd-nspawn alone would
# leave its machine running. Also in a separate control group, in every tree in which systemd keeps its
# services: two machines in one group would kill each other's services.
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
