import { expect } from 'vitest';
import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { eventually } from './eventually.ts';
import { findInstallationProcesses } from './installation-processes.ts';

/** What goes wrong at the sandbox's clouds, on order. */
export interface PlantedFaults {
  /** Hetzner answers so from now on: every call with this method and path. */
  plant(method: string, path: string, effect: object): Promise<void>;
  /** Takes back all that was planted. */
  mend(): Promise<void>;
  /** Makes a server at Hetzner by hand. */
  createServer(name: string, labels: Record<string, string>): Promise<void>;
  /** Replaces the tailnet's policy by one in which everything reaches everything. */
  setTagOwners(tagOwners: Record<string, string[]>): Promise<void>;
}

export function plantFaults(connection: SandboxFile): PlantedFaults {
  const { hcloudEndpoint, hcloudToken, tailscaleBaseUrl, tailscaleApiKey } = connection;
  const faults = new URL('/sandbox/faults', hcloudEndpoint).href;
  return {
    plant: (method, path, effect) =>
      send('POST', faults, { body: { area: 'hetzner', method, path, times: 10_000, effect } }),
    mend: () => send('DELETE', faults),
    createServer: async (name, labels) => {
      const body = { name, server_type: 'cx23', image: 'debian-12', location: 'nbg1', labels };
      await send('POST', `${hcloudEndpoint}/servers`, { token: hcloudToken, body });
    },
    setTagOwners: (tagOwners) =>
      send('POST', `${tailscaleBaseUrl}/api/v2/tailnet/-/acl`, {
        token: tailscaleApiKey,
        body: { tagOwners, acls: [{ action: 'accept', src: ['*'], dst: ['*:*'] }] },
      }),
  };
}

async function send(
  method: string,
  url: string,
  { token, body }: { token?: string; body?: object } = {},
): Promise<void> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  expect(response.ok, `${method} ${url}: ${response.status} ${await response.text()}`).toBe(true);
}

/**
 * Stops an installation's Ansible in its middle, as a server that no longer answers would.
 * @returns the stopped process
 */
export async function freezeAnsible(dataDir: string): Promise<number> {
  const pid = await eventually(
    'Ansible runs',
    () => findInstallationProcesses(dataDir).find(({ command }) => command.includes('ansible-playbook'))?.pid,
    { withinSeconds: 60, pollMs: 20 },
  );
  process.kill(pid, 'SIGSTOP');
  return pid;
}
