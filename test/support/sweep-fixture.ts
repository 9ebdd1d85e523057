import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { createSandboxDatabase } from '../../sandbox/database.ts';
import type { SandboxSettings } from '../../sandbox/settings.ts';
import { sandboxOptionsSchema, startSandbox } from '../../sandbox/start.ts';
import { joinTailnet } from '../../sandbox/tailscale/devices.ts';
import { encodeOpensshPublicKey } from '../../src/agents/openssh.ts';
import type { AgentStatus } from '../../src/agents/states.ts';
import { createPool } from '../../src/database/connect.ts';
import { jsonText } from '../../src/database/storable.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import type { OperationKind, OperationStatus } from '../../src/operations/states.ts';
import { type SweepDeps, sweep } from '../../src/reconcile/sweep/sweep.ts';
import type { SweepReport } from '../../src/reconcile/sweep/sweeps.ts';
import { Secret } from '../../src/secret.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';
import { openOperations } from './operations-fixture.ts';
import { createDatabase } from './postgres.ts';
import { tokens } from './sandbox.ts';
import { type Answer, request } from './sandbox-hetzner.ts';

export interface AgentSeed {
  status: AgentStatus;
  serverId?: number;
  snapshotId?: number;
  tailnetIp?: string;
  /** An agent created before devices were recorded by their ids. */
  isLegacy?: boolean;
  keyGeneration?: number;
}

/** The name under which an agent's server joins, here without a passphrase. */
export const toJoinName = (agentId: string): string =>
  `join-${createHash('sha256').update(agentId).digest('hex').slice(0, 32)}`;

const quick = { serverCreateMs: 0, serverActionMs: 60, machineBootMs: 0 };

/** The service's rows, a whole sandbox, and a sweep over both. */
export async function openSweepFixture(settings: Partial<SandboxSettings> = {}) {
  const installation = await openOperations();
  const cloudDatabase = await createDatabase('sandbox');
  const sandbox = await startSandbox(
    sandboxOptionsSchema.parse({
      databaseUrl: cloudDatabase.url,
      port: 0,
      tokens,
      webhookUrl: 'http://127.0.0.1:1/api/webhooks/stripe',
      settings: { ...quick, ...settings },
    }),
  );
  const pool = createPool(new Secret(cloudDatabase.url), 4, 'sweep test');
  const sandboxDatabase = createSandboxDatabase(pool);
  const { database, log } = installation;
  const hetzner = { token: new Secret(tokens.hcloudToken), endpoint: `${sandbox.url}/hetzner/v1` };
  const tailscale = {
    credential: { kind: 'api-key' as const, key: new Secret(tokens.tailscaleApiKey) },
    tailnet: '-',
    baseUrl: `${sandbox.url}/tailscale`,
    loginServer: undefined,
  };
  const openClouds: SweepDeps['openClouds'] = (watches) => ({
    projects: new Map([['default', createHetznerClient(hetzner, watches.project('default'))]]),
    tailscale: createTailscaleClient(tailscale, watches.tailscale),
  });

  const hcloud = async (method: string, path: string, body?: unknown): Promise<Answer['body']> => {
    const headers = { authorization: `Bearer ${tokens.hcloudToken}` };
    const answer = await request(`${sandbox.url}/hetzner/v1${path}`, method, body, headers);
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const tailnet = async (method: string, path: string, body?: unknown): Promise<Answer['body']> =>
    (
      await request(`${sandbox.url}/tailscale/api/v2${path}`, method, body, {
        authorization: `Bearer ${tokens.tailscaleApiKey}`,
      })
    ).body;

  const nodeIdAt = async (address: string | undefined): Promise<string | null> => {
    const { rows } = await pool.query('select node_id from tailscale_devices where ipv4 = $1', [address]);
    return rows[0]?.node_id ?? null;
  };

  return {
    ...installation,
    sandbox,
    cloud: pool,
    sandboxDatabase,
    openClouds,
    hcloud,
    hcloudToken: hetzner.token,
    sweep: (overrides: Partial<SweepDeps> = {}): Promise<SweepReport> =>
      sweep({ database, log, openClouds, ...overrides }, new AbortController().signal),
    /** Injects a fault in the sandbox. */
    fault: (order: object) => request(`${sandbox.url}/sandbox/faults`, 'POST', order, {}),

    /** Creates an agent with a finished provision that fits its status. @returns the provision's id */
    async agent(agentId: string, seed: AgentSeed): Promise<{ operationId: string }> {
      const { status, serverId, snapshotId, tailnetIp, isLegacy = false, keyGeneration = 1 } = seed;
      await database
        .insertInto('agents')
        .values({
          agent_id: agentId,
          user_id: 'u1',
          region: 'eu-central',
          location: 'nbg1',
          plan: 'starter',
          status,
          step: null,
          health: serverId === undefined ? 'unknown' : 'healthy',
          server_id: serverId === undefined ? null : String(serverId),
          snapshot_id: snapshotId === undefined ? null : String(snapshotId),
          tailnet_ip: tailnetIp ?? null,
          tailnet_node_id: isLegacy ? null : await nodeIdAt(tailnetIp),
          subscription_id: null,
          error: status === 'failed' ? 'The server did not join' : null,
        })
        .execute();
      if (!isLegacy)
        await database
          .insertInto('tailnet_join_names')
          .values({ name: toJoinName(agentId), agent_id: agentId, key_generation: 1 })
          .execute();
      const operationId = await this.operation(
        agentId,
        'provision',
        status === 'failed' ? 'failed' : 'succeeded',
      );
      const inputs = jsonText({ operationId, keyGeneration });
      await database.updateTable('agents').set({ inputs }).where('agent_id', '=', agentId).execute();
      return { operationId };
    },

    async operation(agentId: string, kind: OperationKind, status: OperationStatus): Promise<string> {
      const finished = status === 'succeeded' || status === 'failed' || status === 'cancelled';
      const row = await database
        .insertInto('operations')
        .values({
          agent_id: agentId,
          kind,
          status,
          executor: 'local',
          error: status === 'failed' ? 'It failed' : null,
          finished_at: finished ? sql`now()` : null,
          ...(status === 'active' ? { worker_id: 'w1', lease_until: sql`now() + interval '1 hour'` } : {}),
        })
        .returning('operation_id')
        .executeTakeFirstOrThrow();
      return row.operation_id;
    },

    /** Creates a running server, with the stacks' labels by default. @returns its id */
    async server(agentId: string, options: { name?: string; operationId?: string; labels?: object } = {}) {
      const { name = `agent-${agentId}`, operationId = 'earlier', labels } = options;
      const { server, action } = await hcloud('POST', '/servers', {
        name,
        server_type: 'cx23',
        image: 'debian-12',
        location: 'nbg1',
        start_after_create: false,
        labels: labels ?? { 'agent-id': agentId, 'operation-id': operationId, 'managed-by': 'agents' },
      });
      for (let now = action; now.status === 'running'; )
        now = (await hcloud('GET', `/actions/${now.id}`)).action;
      return server.id as number;
    },

    /** Creates a snapshot of a server, with the stacks' labels. @returns its id */
    async snapshot(agentId: string, serverId: number, operationId = 'earlier'): Promise<number> {
      const labels = { 'agent-id': agentId, 'operation-id': operationId, 'managed-by': 'agents' };
      const path = `/servers/${serverId}/actions/create_image`;
      const begun = await hcloud('POST', path, { description: `agent-${agentId}`, labels });
      for (let now = begun.action; now.status === 'running'; )
        now = (await hcloud('GET', `/actions/${now.id}`)).action;
      return begun.image.id;
    },

    async sshKey(agentId: string, options: { name?: string; operationId?: string } = {}): Promise<number> {
      const { name = `agent-${agentId}`, operationId = 'earlier' } = options;
      const labels = { 'agent-id': agentId, 'operation-id': operationId, 'managed-by': 'agents' };
      const public_key = encodeOpensshPublicKey(randomBytes(32));
      return (await hcloud('POST', '/ssh_keys', { name, public_key, labels })).ssh_key.id;
    },

    /** Creates an unused key. */
    tailnetKey(agentId: string, generation = 1): Promise<{ id: string; key: string }> {
      return this.tailnetKeyNamed(`agent-${agentId}`, generation);
    },

    tailnetKeyNamed(name: string, generation = 1): Promise<{ id: string; key: string }> {
      return tailnet('POST', '/tailnet/-/keys', {
        description: `${name} ${generation}`,
        capabilities: { devices: { create: { preauthorized: true, tags: ['tag:agent'] } } },
      });
    },

    /** Creates a machine that joined with its own key. @returns its address */
    async device(agentId: string, hostname = toJoinName(agentId)): Promise<string> {
      const { key: authKey } = await this.tailnetKey(agentId);
      const joined = await joinTailnet(sandboxDatabase, {
        authKey,
        hostname,
        machineId: randomBytes(4).toString('hex'),
      });
      if ('refused' in joined) throw new Error(joined.refused);
      return joined.tailnetIp;
    },

    /** Lists everything in the clouds by readable names. */
    async left(): Promise<{
      servers: number[];
      sshKeys: number[];
      tailnetKeys: string[];
      devices: string[];
    }> {
      const { servers } = await hcloud('GET', '/servers?per_page=50&sort=id');
      const { ssh_keys } = await hcloud('GET', '/ssh_keys?per_page=50&sort=id');
      const { keys } = await tailnet('GET', '/tailnet/-/keys?all=true');
      const { devices } = await tailnet('GET', '/tailnet/-/devices');
      return {
        servers: servers.map(({ id }: { id: number }) => id),
        sshKeys: ssh_keys.map(({ id }: { id: number }) => id),
        tailnetKeys: keys.map(({ description }: { description: string }) => description),
        devices: devices.map(({ addresses }: { addresses: string[] }) => addresses[0]),
      };
    },

    async empty(): Promise<void> {
      await installation.empty();
      await database.deleteFrom('sweeps').execute();
      await pool.query(`truncate hetzner_servers, hetzner_ssh_keys, hetzner_primary_ips, hetzner_firewall_targets,
        tailscale_devices, tailscale_keys cascade`);
    },

    async close(): Promise<void> {
      await pool.end();
      await sandbox.stop();
      await cloudDatabase.drop();
      await installation.close();
    },
  };
}

export type SweepFixture = Awaited<ReturnType<typeof openSweepFixture>>;
