import pg from 'pg';
import { hostPostgres } from '../../sandbox/host/postgres.ts';
import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { eventually } from './eventually.ts';
import type { Installation } from './installation.ts';

/** Drops the service's and Pulumi's databases of a stopped installation. The sandbox's clouds stay. */
export async function dropDatabases(dataDir: string): Promise<void> {
  const postgres = await hostPostgres({ dataDir });
  try {
    const client = new pg.Client({ connectionString: postgres.adminUrl });
    await client.connect();
    for (const name of ['agents', 'pulumi']) await client.query(`drop database ${name} with (force)`);
    await client.end();
  } finally {
    await postgres.stop();
  }
}

/** What is billed, and who can reach it: ids and names, as the clouds list them. */
export async function listHoldings(connection: SandboxFile) {
  const ask = async (url: string, token: string) => {
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    if (!response.ok) throw new Error(`${url}: ${response.status}`);
    return (await response.json()) as Record<string, Record<string, unknown>[]>;
  };
  const { hcloudEndpoint, hcloudToken, tailscaleBaseUrl, tailscaleApiKey } = connection;
  const hetzner = (path: string) => ask(`${hcloudEndpoint}${path}`, hcloudToken);
  const servers = (await hetzner('/servers?per_page=50')).servers!;
  const sshKeys = (await hetzner('/ssh_keys?per_page=50')).ssh_keys!;
  const snapshots = (await hetzner('/images?type=snapshot&per_page=50')).images!;
  const { devices } = await ask(`${tailscaleBaseUrl}/api/v2/tailnet/-/devices`, tailscaleApiKey);
  const idsAndNames = (rows: Record<string, unknown>[]) =>
    rows.map(({ id, name, status, created }) => ({ id, name, status, created }));
  return {
    servers: idsAndNames(servers),
    sshKeys: idsAndNames(sshKeys),
    snapshots: snapshots.map(({ id }) => id),
    devices: devices!.map(({ nodeId, name }) => ({ nodeId, name })),
  };
}

/** Waits until what a rebuild needs is written for these agents and slots. */
export function untilRecordsKept(installation: Installation, owners: number): Promise<unknown> {
  const due = `select count(*)::int as kept from cloud_records r join (
      select agent_id as id, updated_at from agents union all select slot_id, updated_at from slots) o
    on o.id = r.owner_id where r.seen >= o.updated_at`;
  return eventually('the records are kept', async () => (await installation.query(due))[0].kept === owners, {
    withinSeconds: 60,
    describe: installation.terminal,
  });
}
