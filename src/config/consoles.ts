import { z } from 'zod';
import type { TailscaleAccount } from './accounts.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { DEFAULT_PROJECT } from './hetzner-projects.ts';

/** Where the consoles of the clouds show an agent's parts. */
export interface Consoles {
  /** The numbers of Hetzner projects in its console's addresses, by the projects' names. */
  hetznerProjectIds: Readonly<Record<string, string>>;
  /** Whether the agents' devices are at Tailscale itself, not at a control server of one's own. */
  hasTailscale: boolean;
}

const FORM =
  'must be the number of the project in the console’s address; of several projects, eu=123, us=456';

const projectIds = z
  .string()
  .regex(/^(\d{1,15}|[a-z0-9-]{1,20}=\d{1,15}(\s*,\s*[a-z0-9-]{1,20}=\d{1,15})*)$/, FORM)
  .transform((text) => {
    if (!text.includes('=')) return { [DEFAULT_PROJECT]: text };
    return Object.fromEntries(text.split(',').map((entry) => entry.trim().split('=') as [string, string]));
  });

/** By project; none that is not given. */
export function readHetznerProjectIds(reader: EnvironmentReader): Consoles['hetznerProjectIds'] {
  return reader.read('HCLOUD_PROJECT_ID', projectIds) ?? {};
}

const TAILSCALE = 'https://api.tailscale.com';

/** The consoles of a live installation. */
export function toConsoles(
  hetznerProjectIds: Consoles['hetznerProjectIds'],
  { baseUrl, loginServer }: Pick<TailscaleAccount, 'baseUrl' | 'loginServer'>,
): Consoles {
  return { hetznerProjectIds, hasTailscale: baseUrl === TAILSCALE && loginServer === undefined };
}
