import type { ServerDescription } from '../hetzner/hetzner.ts';
import { UNTIL_RESTART } from '../tailnet/admission/what-it-writes.ts';

export interface Explained {
  /** What exists and becomes part of the agent's stack, or is made for it. */
  imports: string[];
  /** What is different on the server, and for its owner, afterwards. */
  changes: string[];
  /** What no adoption does. */
  never: string[];
}

/** Says what an adoption will do, for people. */
export function explainAdoption(
  { id, name, serverType, system, image }: ServerDescription,
  { usualType }: { usualType: string },
): Explained {
  const what = system === undefined ? '' : `, ${system}`;
  const type =
    serverType === usualType
      ? serverType
      : `${serverType}, which it keeps (its plan usually has ${usualType})`;
  return {
    imports: [
      `server ${name} (${id}), ${type}${what}: as it is, into the stack, without a replacement`,
      'an SSH key of the service is uploaded to the Hetzner project; a tailnet key is made, used up and forgotten',
    ],
    changes: [
      'at Hetzner: the labels agent-id, operation-id and managed-by are added, its name becomes srv-…, and the agents’ firewall is applied: its public ports are closed, SSH among them',
      'on it: Tailscale is installed and joins the agents’ tailnet; the service’s SSH host key takes the place of its own',
      'on it: the playbook runs. SSH lets in the service alone (`agents ssh`), nftables closes all but SSH and the health port on the tailnet and forwards nothing; the agent’s service is installed',
      ...(image === undefined
        ? ['a later rebuild installs Hetzner’s image of the plan: its own cannot be named']
        : []),
    ],
    never: [
      'the server is not made again, deleted, switched off or restarted, and its disk stays',
      'its public addresses, backups, protection and other labels stay as they are',
      'your own SSH key is not needed by the service, and never sent to it',
      `if the adoption fails, name, labels, firewall and settings are put back, but for packages and, until it restarts, ${UNTIL_RESTART.join(' and ')}; a destroy before its end deletes nothing of the server`,
    ],
  };
}
