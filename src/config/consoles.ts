import { z } from 'zod';
import type { TailscaleAccount } from './accounts.ts';
import type { EnvironmentReader } from './environment-reader.ts';

/** Where the consoles of the clouds show an agent's parts. */
export interface Consoles {
  /** The number of the Hetzner project in its console's addresses. */
  hetznerProjectId: string | undefined;
  /** Whether the agents' devices are at Tailscale itself, not at a control server of one's own. */
  hasTailscale: boolean;
}

const projectId = z
  .string()
  .regex(/^\d{1,15}$/, 'must be the number of the project in the console’s address');

export function readHetznerProjectId(reader: EnvironmentReader): string | undefined {
  return reader.read('HCLOUD_PROJECT_ID', projectId);
}

const TAILSCALE = 'https://api.tailscale.com';

/** The consoles of a live installation. */
export function toConsoles(
  hetznerProjectId: string | undefined,
  { baseUrl, loginServer }: Pick<TailscaleAccount, 'baseUrl' | 'loginServer'>,
): Consoles {
  return { hetznerProjectId, hasTailscale: baseUrl === TAILSCALE && loginServer === undefined };
}
