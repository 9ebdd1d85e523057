import { type AgentStatus, isLive } from '../../agents/states.ts';

/** The administrator of an agent's server, created by cloud-init (stacks/user-data.ts). */
const USER = 'ops';

export interface SshTarget {
  address: string;
  knownHostsFile: string;
  proxyCommand: string | undefined;
  /** The remote command; empty for a shell. */
  command: readonly string[];
}

/**
 * Builds OpenSSH's arguments. They ignore the caller's configuration: the private agent holds the only key,
 * only host keys known to the service count, and ssh never prompts. After `--` neither the address nor the
 * command can be read as an option.
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
 * Wraps OpenSSH in a private key agent that ends with it. The key arrives on file descriptor 3, so it is in
 * no file, argument or environment variable.
 */
export function withPrivateAgent(args: readonly string[]): [command: string, args: string[]] {
  const script = 'ssh-add -q - <&3 && exec 3<&- && exec ssh "$@"';
  return ['ssh-agent', ['sh', '-c', script, 'ssh', ...args]];
}

/**
 * Builds the known_hosts lines for an agent's server. The first host key was readable in the user data, so it
 * counts only until a configuration has replaced it.
 */
export function knownHosts(
  address: string,
  keys: { hostPublicKey: string; nextHostPublicKey: string },
  status: AgentStatus,
): string {
  const shown = isLive(status) ? [keys.nextHostPublicKey] : [keys.hostPublicKey, keys.nextHostPublicKey];
  return shown.map((key) => `${address} ${key.trim()}\n`).join('');
}
