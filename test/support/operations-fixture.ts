import { sql } from 'kysely';
import { type Logger, pino } from 'pino';
import { createDatabase as createConnection, createPool, type Database } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { type Claim, claimNext, type OperationRow } from '../../src/operations/claims.ts';
import '../../src/runbooks/all.ts';
import { requestAgent } from '../../src/operations/first-provision.ts';
import { requestOperation } from '../../src/operations/requests.ts';
import type { OperationKind } from '../../src/operations/states.ts';
import { type Queue, startQueue } from '../../src/queue/queue.ts';
import { Secret } from '../../src/secret.ts';
import { createDatabase } from './postgres.ts';

/** The rows and the queue of a service without its processes: all that an operation needs. */
export interface OperationsFixture {
  url: string;
  database: Database;
  queue: Queue;
  log: Logger;
  /** Every log line, parsed. */
  logged: Record<string, unknown>[];
  /** Removes all agents and operations of earlier tests. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/** In an order in which their rows can be deleted. */
const TABLES = [
  'pgboss.job',
  'idempotency_keys',
  'unresolved_signals',
  'findings',
  'subscriptions',
  'billing_runs',
  'receipts',
  'notices',
  'audit_log',
  'foundations',
  'operation_events',
  'orders',
  'tailnet_join_names',
  'server_names',
  'pool_misses',
  'slots',
  'pool_demands',
  'pools',
  'images',
  'stack_resources',
  'agent_changes',
  'snapshot_drills',
  'agent_snapshots',
  'adoptions',
  'operations',
  'stripe_events',
  'agents',
  'workers',
  'key_epochs',
  'processes',
  'installation',
];

export async function openOperations(): Promise<OperationsFixture> {
  const testDatabase = await createDatabase('service');
  const url = new Secret(testDatabase.url);
  const database = createConnection(createPool(url, 12, 'operations test'));
  await migrate(database);
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const queue = await startQueue({ url, log });
  return {
    url: testDatabase.url,
    database,
    queue,
    log,
    logged,
    // One message to the database, because this runs before most tests; each table in its own transaction,
    // which cannot get into the way of what a test left running.
    empty: async () => {
      const deletes = TABLES.map((table) => `delete from ${table}; commit;`);
      await sql.raw(`do $$ begin ${deletes.join(' ')} end $$`).execute(database);
    },
    close: async () => {
      await queue.stop();
      await database.destroy();
      await testDatabase.drop();
    },
  };
}

export const OUTPUTS = {
  serverId: '1',
  serverName: 'agent-a1',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  tailnetIp: '100.64.0.1',
  tailnetName: 'agent-a1.tail.ts.net',
};

/** Creates an agent with its queued provision. */
export function order({ database, queue }: OperationsFixture, agentId: string): Promise<OperationRow> {
  const agent = { agentId, userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
  return database.transaction().execute((trx) => requestAgent(trx, queue, { agent, actor: 'test' }));
}

export function ask(
  { database, queue }: OperationsFixture,
  agentId: string,
  kind: OperationKind,
  parameters?: { plan: string },
): Promise<OperationRow> {
  const request = { agentId, kind, actor: 'test', ...(parameters && { parameters }) };
  return database.transaction().execute((trx) => requestOperation(trx, queue, request));
}

/** Claims the next operation, which must exist. */
export async function claim(
  { database }: OperationsFixture,
  workerId = 'w1',
): Promise<{ row: OperationRow; claim: Claim }> {
  const row = await claimNext(database, workerId);
  if (row === undefined) throw new Error('No operation to claim');
  return { row, claim: { operationId: row.operation_id, attempt: row.attempt, workerId } };
}

/** Makes every waiting operation due now. */
export async function waitOver({ database }: OperationsFixture): Promise<void> {
  await database
    .updateTable('operations')
    .set({ run_after: new Date(0) })
    .where('status', '=', 'queued')
    .execute();
}

export function operation({ database }: OperationsFixture, operationId: string): Promise<OperationRow> {
  return database
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', operationId)
    .executeTakeFirstOrThrow();
}

export function listOperations({ database }: OperationsFixture, agentId: string): Promise<OperationRow[]> {
  return database
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .orderBy('sequence')
    .execute();
}

/** The operations announced in the queue, earliest first. */
export async function announcements({
  database,
}: OperationsFixture): Promise<{ operationId: string; at: Date }[]> {
  const { rows } = await sql<{ operationId: string; at: Date }>`
    select data->>'operationId' as "operationId", start_after as at from pgboss.job
    where state = 'created' order by start_after`.execute(database);
  return rows;
}
