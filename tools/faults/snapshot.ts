import pg from 'pg';
import type { CloudContents, Clouds } from './clouds.ts';
import type { Installation } from './installation.ts';
import { type DrillRecord, type KeptRecord, readKept } from './kept-snapshots.ts';
import type { Child } from './processes.ts';
import { readSlots, type SlotRecord } from './slots.ts';

export interface AgentRecord {
  agent_id: string;
  status: string;
  health: string;
  server_id: string | null;
  tailnet_ip: string | null;
  tailnet_node_id: string | null;
  snapshot_id: string | null;
  error: string | null;
  /** The version of the playbook that its server was made with; null without a server. */
  release: string | null;
}

export interface OperationRecord {
  operation_id: string;
  agent_id: string;
  kind: string;
  status: string;
  attempt: number;
  retry_count: number;
  lost_count: number;
  error: string | null;
  failed_step: string | null;
  worker_id: string | null;
  /** Seconds until it may run; negative if it may run now. */
  due_in: number;
}

/** A `status` event, which records the begin or end of an attempt. */
export interface StatusEvent {
  id: number;
  operation_id: string;
  agent_id: string;
  kind: string;
  attempt: number;
  status: string;
}

/** Everything that the model checks, read at one moment. */
export interface Snapshot {
  agents: AgentRecord[];
  /** Hostnames under which servers were meant to join the tailnet. */
  joinNames: { name: string; agent_id: string }[];
  /** The names of servers that do not follow from their agents' ids. */
  serverNames: { name: string; agent_id: string }[];
  slots: SlotRecord[];
  /** Agents' snapshots that are kept beside their servers, and restore drills. */
  kept: KeptRecord[];
  drills: DrillRecord[];
  /** Which agent the server at a tailnet address says that it is. */
  tenants: ReadonlyMap<string, string>;
  operations: OperationRecord[];
  statusEvents: StatusEvent[];
  /** Per operation: the number of events and the highest sequence number. */
  sequences: { operation_id: string; count: number; last: number }[];
  orders: { session_id: string; agent_id: string | null; attention: string | null }[];
  storedEvents: string[];
  /** Keys in Pulumi's table, with the number of pending operations for a stack's own row. */
  state: { key: string; pending: number }[];
  /** Remaining logins of attempts. */
  logins: string[];
  clouds: CloudContents;
  children: Child[];
}

/** Reads all of it. The clouds are read through their APIs, so no fault should be active. */
export async function takeSnapshot(installation: Installation, clouds: Clouds): Promise<Snapshot> {
  const { databaseUrl, pulumiBackendUrl } = installation.file;
  const [rows, state, contents] = await Promise.all([
    withClient(databaseUrl, readRows),
    withClient(pulumiBackendUrl, readState),
    clouds.contents(),
  ]);
  const served = new Set(rows.slots.filter(({ isServed }) => isServed).map(({ agent_id: agent }) => agent));
  const addresses = rows.agents
    .filter(({ agent_id: agent, status }) => status === 'running' && served.has(agent))
    .flatMap(({ tailnet_ip: address }) => address ?? []);
  const tenants = await clouds.tenants(addresses);
  return { ...rows, ...state, clouds: contents, tenants, children: installation.children() };
}

/** By address. What is asked again within a second finds the session that answered before. */
const pools = new Map<string, pg.Pool>();

/**
 * Hands over a session. Most callers poll, and a session of its own for each look costs more than the look.
 */
export async function withClient<T>(url: string, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  const client = await poolOf(url).connect();
  // After any failure it may be one of a server that was killed.
  let isSound = false;
  try {
    const result = await work(client);
    isSound = true;
    return result;
  } finally {
    client.release(!isSound);
  }
}

function poolOf(url: string): pg.Pool {
  const known = pools.get(url);
  if (known !== undefined) return known;
  const pool = new pg.Pool({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 20_000,
    idleTimeoutMillis: 1_000,
    allowExitOnIdle: true,
  });
  pool.on('error', () => {});
  pools.set(url, pool);
  return pool;
}

async function readRows(client: pg.ClientBase) {
  // One transaction, for a consistent view.
  await client.query('begin isolation level repeatable read read only');
  const rows = async <T>(text: string) => (await client.query(text)).rows as T[];
  const read = {
    agents: await rows<AgentRecord>(
      "select agent_id, status, health, server_id, tailnet_ip, tailnet_node_id, snapshot_id, error, inputs->>'configurationVersion' as release from agents",
    ),
    slots: await readSlots(client),
    ...(await readKept(client)),
    operations: await rows<OperationRecord>(OPERATIONS),
    statusEvents: await rows<StatusEvent>(
      `select e.id::int, e.operation_id, o.agent_id, o.kind, e.attempt, e.data->>'status' as status
       from operation_events e join operations o using (operation_id) where e.type = 'status' order by e.id`,
    ),
    sequences: await rows<Snapshot['sequences'][number]>(
      'select operation_id, count(*)::int as count, max(sequence)::int as last from operation_events group by 1',
    ),
    joinNames: await rows<Snapshot['joinNames'][number]>('select name, agent_id from tailnet_join_names'),
    serverNames: await rows<Snapshot['serverNames'][number]>(
      'select name, owner_id as agent_id from server_names',
    ),
    orders: await rows<Snapshot['orders'][number]>('select session_id, agent_id, attention from orders'),
    storedEvents: (await rows<{ id: string }>('select id from stripe_events')).map(({ id }) => id),
  };
  await client.query('commit');
  return read;
}

const OPERATIONS = `select operation_id, agent_id, kind, status, attempt, retry_count, lost_count, error, failed_step,
  worker_id, extract(epoch from run_after - now())::float as due_in from operations order by sequence`;

async function readState(client: pg.ClientBase) {
  const state = await client.query<{ key: string; pending: number }>(
    `select key, coalesce(json_array_length(data->'checkpoint'->'latest'->'pending_operations'), 0) as pending
     from pulumi_state`,
  );
  const logins = await client.query<{ rolname: string }>(
    `select rolname from pg_roles where rolname like 'a:%'`,
  );
  return { state: state.rows, logins: logins.rows.map(({ rolname }) => rolname) };
}
