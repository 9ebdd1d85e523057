/**
 * What joining and the playbook write on a server, as paths without the first slash. These are an agent's
 * alone: a server that has one of them is refused, because an undo removes them.
 */
export const OWN_PATHS = [
  'etc/agent',
  'etc/apt/apt.conf.d/52agent-upgrades',
  'etc/ssh/agent_host_ed25519_key',
  'etc/ssh/agent_host_ed25519_key.pub',
  'etc/ssh/sshd_config.d/00-agent.conf',
  'etc/ssh/sshd_config.d/01-agent-host-key.conf',
  'etc/sysctl.d/60-agent.conf',
  'etc/systemd/journald.conf.d/agent.conf',
  'etc/systemd/system/agent.service',
  'etc/sysusers.d/agent.conf',
  'opt/agent',
  'run/agent-settings',
  'usr/local/bin/agent',
  'usr/local/lib/agent-hand-over.py',
  'usr/local/lib/agent.py',
  'var/lib/agent',
] as const;

/** Those that any server may have. They are kept before, and put back by an undo. */
export const SHARED_PATHS = [
  'etc/apt/apt.conf.d/20auto-upgrades',
  'etc/default/locale',
  'etc/localtime',
  'etc/nftables.conf',
  'etc/timezone',
] as const;

/** What the role `hardening` sets in the kernel, in its order, which an undo has to keep. */
export const KERNEL_SETTINGS = [
  'kernel.dmesg_restrict',
  'kernel.kptr_restrict',
  'kernel.perf_event_paranoid',
  'kernel.unprivileged_bpf_disabled',
  'kernel.yama.ptrace_scope',
  'kernel.kexec_load_disabled',
  'kernel.sysrq',
  'fs.protected_fifos',
  'fs.protected_hardlinks',
  'fs.protected_regular',
  'fs.protected_symlinks',
  'fs.suid_dumpable',
  'net.core.bpf_jit_harden',
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.ipv4.conf.all.accept_redirects',
  'net.ipv4.conf.default.accept_redirects',
  'net.ipv6.conf.all.accept_redirects',
  'net.ipv6.conf.default.accept_redirects',
  'net.ipv4.conf.all.secure_redirects',
  'net.ipv4.conf.all.send_redirects',
  'net.ipv4.conf.default.send_redirects',
  'net.ipv4.conf.all.accept_source_route',
  'net.ipv6.conf.all.accept_source_route',
  'net.ipv4.conf.all.log_martians',
  'net.ipv4.icmp_echo_ignore_broadcasts',
  'net.ipv4.tcp_rfc1337',
  'net.ipv4.tcp_syncookies',
  'vm.swappiness',
] as const;

/** Those that the kernel takes back only at a restart: once they are 1, root cannot change them. */
export const UNTIL_RESTART = ['kernel.kexec_load_disabled', 'kernel.unprivileged_bpf_disabled'] as const;
