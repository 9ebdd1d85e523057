/** What the disk of an agent's snapshot is checked for. */
export interface DrillUserData {
  hostname: string;
  /** The agent's host keys, in OpenSSH's format: one of them is on its disk. */
  hostPublicKeys: readonly string[];
}

/**
 * The agent serves its health at its tailnet address, which the copy has nowhere but here. It is asked until
 * it answers: after twenty minutes the drill has failed.
 */
const HEALTH = [
  `host=$(sed -n 's/^AGENT_HOST="\\(.*\\)"$/\\1/p' /etc/agent/environment)`,
  `port=$(sed -n 's/^AGENT_HEALTH_PORT="\\(.*\\)"$/\\1/p' /etc/agent/environment)`,
  'ip address add "$host" dev lo || exit 1',
  'systemctl start agent || exit 1',
  'case $host in *:*) host="[$host]";; esac',
  `until python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "http://$host:$port/health"`,
  'do sleep 1; done',
].join('\n    ');

/**
 * Renders cloud-init for a server of a restore drill. It takes the tailnet's identity off the copy, looks for
 * what every agent's disk has, starts the agent, and switches itself off once that is healthy: so it tells
 * that it has booted, and that the disk is the agent's and of use, without a way in or out. The firewall
 * keeps it from the tailnet before that.
 */
export function renderDrillUserData({ hostname, hostPublicKeys }: DrillUserData): string {
  const keys = hostPublicKeys
    .map((key) => key.split(' ')[1] ?? '')
    .filter((key) => /^[A-Za-z0-9+/=]+$/.test(key));
  const ofAgent = keys.map((key) => ` -e ${key}`).join('');
  return `#cloud-config
hostname: ${hostname}
preserve_hostname: false
manage_etc_hosts: localhost
ssh_deletekeys: false
ssh_genkeytypes: []
disable_root: true
ssh_pwauth: false
users: []
bootcmd:
  - [sh, -c, "systemctl mask --now tailscaled; systemctl stop agent; mv /var/lib/tailscale/tailscaled.state /var/lib/tailscale/drill.state"]
runcmd:
  - |
    test -s /var/lib/tailscale/drill.state || exit 1
    test -s /etc/systemd/system/agent.service || exit 1
    ${ofAgent === '' ? 'true' : `grep -qF${ofAgent} /etc/ssh/*ed25519_key.pub`} || exit 1
    ${HEALTH}
    poweroff
`;
}
