import type { Installation } from './installation.ts';

export interface CloudServer {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  /** What its disk was made from. */
  image: { id: number } | null;
}

export interface CloudSnapshot {
  id: number;
  description: string;
  status: string;
  /** In GB; null until it is complete. */
  image_size: number | null;
  labels: Record<string, string>;
}

/** The contents of the sandbox's clouds, read through the APIs that the service uses. */
export interface CloudContents {
  servers: CloudServer[];
  snapshots: CloudSnapshot[];
  sshKeys: { id: number; name: string; labels: Record<string, string> }[];
  firewalls: { id: number; name: string }[];
  devices: { id: string; nodeId: string; name: string; hostname: string; addresses: string[] }[];
  keys: { id: string; description: string; invalid: boolean }[];
}

/** A fault as accepted by `POST /sandbox/faults`. */
export interface FaultOrder {
  area: 'hetzner' | 'tailscale' | 'machines';
  method: string;
  path: string;
  times: number;
  effect: Record<string, unknown> & { kind: string };
}

export class Clouds {
  readonly #installation: Installation;

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  async contents(): Promise<CloudContents> {
    const [servers, snapshots, sshKeys, firewalls, devices, keys] = await Promise.all([
      this.#hetzner<CloudServer>('servers'),
      this.snapshots(),
      this.#hetzner<CloudContents['sshKeys'][number]>('ssh_keys'),
      this.#hetzner<CloudContents['firewalls'][number]>('firewalls'),
      this.#tailscale<CloudContents['devices'][number]>('devices', 'devices'),
      this.#tailscale<CloudContents['keys'][number]>('keys?all=true', 'keys'),
    ]);
    return { servers, snapshots, sshKeys, firewalls, devices, keys };
  }

  servers(): Promise<CloudServer[]> {
    return this.#hetzner<CloudServer>('servers');
  }

  snapshots(): Promise<CloudSnapshot[]> {
    return this.#hetzner<CloudSnapshot>('images', 'type=snapshot&');
  }

  /** Deletes a server as a person in Hetzner's console would. */
  async deleteServer(id: number): Promise<void> {
    const { hcloudEndpoint, hcloudToken } = this.#installation.file;
    await fetch(`${hcloudEndpoint}/servers/${id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${hcloudToken}` },
      signal: AbortSignal.timeout(10_000),
    });
  }

  /** Asks servers at tailnet addresses who they are. One that does not answer is left out. */
  async tenants(addresses: readonly string[]): Promise<Map<string, string>> {
    const said = await Promise.all(
      addresses.map(async (address) => {
        const url = `${this.#installation.file.stripeApiUrl}/sandbox/machines/${address}/health`;
        const answer = await getJson(url, '').catch(() => undefined);
        return [address, answer?.agentId] as const;
      }),
    );
    return new Map(said.flatMap(([address, id]) => (typeof id === 'string' ? [[address, id]] : [])));
  }

  async orderFault(order: FaultOrder): Promise<void> {
    await this.#control('POST', order);
  }

  async clearFaults(): Promise<void> {
    await this.#control('DELETE');
  }

  /** How many of the injected faults have not occurred yet. */
  async faultsLeft(): Promise<number> {
    const { faults } = (await (await this.#control('GET')).json()) as { faults: { remaining: number }[] };
    return faults.reduce((sum, fault) => sum + fault.remaining, 0);
  }

  async #control(method: 'GET' | 'POST' | 'DELETE', body?: FaultOrder): Promise<Response> {
    const response = await fetch(`${this.#installation.file.stripeApiUrl}/sandbox/faults`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok)
      throw new Error(`${method} /sandbox/faults: ${response.status} ${await response.text()}`);
    return response;
  }

  async #hetzner<T>(kind: 'servers' | 'images' | 'ssh_keys' | 'firewalls', filter = ''): Promise<T[]> {
    const { hcloudEndpoint, hcloudToken } = this.#installation.file;
    const found: T[] = [];
    for (let page: number | null = 1; page !== null; ) {
      const answer: Record<string, unknown> = await getJson(
        `${hcloudEndpoint}/${kind}?${filter}per_page=50&page=${page}`,
        hcloudToken,
      );
      found.push(...(answer[kind] as T[]));
      page = (answer.meta as { pagination: { next_page: number | null } }).pagination.next_page;
    }
    return found;
  }

  async #tailscale<T>(path: string, key: string): Promise<T[]> {
    const { tailscaleBaseUrl, tailscaleApiKey } = this.#installation.file;
    const answer = await getJson(`${tailscaleBaseUrl}/api/v2/tailnet/-/${path}`, tailscaleApiKey);
    return answer[key] as T[];
  }
}

async function getJson(url: string, token: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`GET ${url}: ${response.status}`);
  return (await response.json()) as Record<string, unknown>;
}
