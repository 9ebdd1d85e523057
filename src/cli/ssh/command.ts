import { type AgentStatus, isLive } from '../../agents/states.ts';

/** Who administers an agent's server: cloud-init makes this user (stacks/user-data.ts). */
const USER = 'ops';

export interface SshTarget {
  address: string;
  knownHostsFile: string;
  proxyCommand: string | undefined;
  /** What is run there; none: a shell. */
  command: readonly string[];
}

/**
 * OpenSSH's arguments. Nothing of the caller's own configuration counts: the only key is the one that the private agent holds, the only host keys are
 * the ones we know, and nothing is asked for. After `--` nothing is an option, neither an address nor what is run there.
 */
export function sshArguments({ address, knownHostsFile, proxyCommand, command }: SshTarget): string[] {
  const options = [
    `User=${USER}`,
    ...(proxyCommand === undefined ? [] : [`ProxyCommand=${proxyCommand}`]),
    'IdentityFile=none',
    'PreferredAuthentications=publickey',
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile="${knownHostsFile}"`,
    'GlobalKnownHostsFile=/dev/null',
    'UpdateHostKeys=no',
    'HostKeyAlgorithms=ssh-ed25519',
    'ForwardAgent=no',
    'ConnectTimeout=20',
    'ServerAliveInterval=15',
  ];
  return ['-F', '/dev/null', ...options.flatMap((option) => ['-o', option]), '--', address, ...command];
}

/**
 * Runs OpenSSH with a key agent of its own, which ends with it. The key comes by file descriptor 3: it is in no file, no argument and no environment.
 */
export function withPrivateAgent(args: readonly string[]): [command: string, args: string[]] {
  const script = 'ssh-add -q - <&3 && exec 3<&- && exec ssh "$@"';
  return ['ssh-agent', ['sh', '-c', script, 'ssh', ...args]];
}

/**
 * The host keys that an agent's server may show. Its first one was in the user data, for whoever could read that; it counts only until a configuration
 * has replaced it.
 */
export function knownHosts(
  address: string,
  keys: { hostPublicKey: string; nextHostPublicKey: string },
  status: AgentStatus,
): string {
  const shown = isLive(status) ? [keys.nextHostPublicKey] : [keys.hostPublicKey, keys.nextHostPublicKey];
  return shown.map((key) => `${address} ${key.trim()}\n`).join('');
}
