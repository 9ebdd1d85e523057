import { OWN_PATHS } from './what-it-writes.ts';

const SENTENCES = {
  system: 'Agents run on Debian 12 and 13 and on Ubuntu 24.04, and it runs another system',
  systemd: 'Its first process is not systemd',
  tailnet:
    'It is on a tailnet already, or has the login of one: run "tailscale logout" on it first, or, if Tailscale is no longer installed, remove /var/lib/tailscale/tailscaled.state',
  tailscale:
    'Tailscale is installed on it and does not say whether it is logged in: start or remove it first',
  port: 'A program on it listens on the port where its agent has to answer',
  unit: 'It has a service "agent" of its own: remove it first',
  account: 'It has an account or a group "agent" of its own: rename or remove it first',
  firewall: 'Its nftables have a table "inet agent" of its own: rename it first',
  sshd: 'Its sshd does not accept another host key',
};

/**
 * Why a server cannot join, by the last line that admit.sh says then. Nothing else that a server says is
 * shown to anybody: it has just been sent secrets, and might repeat them.
 */
export const REFUSALS: ReadonlyMap<string, string> = new Map([
  ...Object.entries(SENTENCES).map(([word, sentence]) => [`refused: ${word}`, sentence] as const),
  ...OWN_PATHS.map(
    (path) =>
      [`refused: path ${path}`, `It has /${path}, which is an agent's: move or remove it first`] as const,
  ),
]);
