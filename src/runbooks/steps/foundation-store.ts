import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { FoundationInputs } from '../../../stacks/inputs.ts';
import { PASSPHRASE } from '../../config/secrets-provider.ts';
import type { Database, Transaction } from '../../database/connect.ts';
import type { Fence } from '../../pulumi/fence.ts';

/** An attempt that holds a foundation, or tries to. */
export interface Holder {
  operationId: string;
  attempt: number;
}

/** The projects' foundations, and the attempt that holds each. */
export interface FoundationStore {
  /** The firewall's id, if the foundation was created with exactly these inputs. */
  find(inputs: FoundationInputs): Promise<number | undefined>;
  /**
   * Claims the foundation for this attempt, unless another with a valid lease has it. `stale`: a recorded
   * firewall that no longer exists.
   */
  take(holder: Holder, found: { inputs: FoundationInputs; stale?: number | undefined }): Promise<boolean>;
  /** Records that the holder has created the foundation, and releases it. */
  made(holder: Holder, result: { inputs: FoundationInputs; firewallId: number }): Promise<void>;
}

/** Increase this when the foundation's program changes: each project is updated before its next agent. */
const FOUNDATION_VERSION = 1;

/**
 * Stores foundations in the service's database. When the secrets provider changes, a foundation is updated,
 * and so moved, before the next agent: agents' stacks copy its settings. Before an attempt takes over a
 * foundation, the database sessions of a holder that is no longer active are closed.
 */
export function createFoundationStore(
  database: Database,
  fence: Pick<Fence, 'evict'>,
  secretsProvider: string = PASSPHRASE,
): FoundationStore {
  const hash = (inputs: FoundationInputs) => hashOf(inputs, secretsProvider);
  return {
    find: async (inputs) => {
      const row = await database
        .selectFrom('foundations')
        .select('firewall_id')
        .where('project', '=', inputs.project)
        .where('inputs_hash', '=', hash(inputs))
        .executeTakeFirst();
      return row === undefined ? undefined : Number(row.firewall_id);
    },
    take: async (holder, { inputs, stale }) => {
      await database
        .insertInto('foundations')
        .values({ project: inputs.project })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return database
        .transaction()
        .execute((trx) => take(trx, fence, holder, { inputs, stale, hash: hash(inputs) }));
    },
    made: async ({ operationId, attempt }, { inputs, firewallId }) => {
      await database
        .updateTable('foundations')
        .set({
          firewall_id: String(firewallId),
          inputs_hash: hash(inputs),
          holder_operation: null,
          holder_attempt: null,
          updated_at: sql`now()`,
        })
        .where('project', '=', inputs.project)
        .where('holder_operation', '=', operationId)
        .where('holder_attempt', '=', attempt)
        .execute();
    },
  };
}

async function take(
  trx: Transaction,
  fence: Pick<Fence, 'evict'>,
  { operationId, attempt }: Holder,
  { inputs, stale, hash }: { inputs: FoundationInputs; stale: number | undefined; hash: string },
): Promise<boolean> {
  const row = await trx
    .selectFrom('foundations')
    .selectAll()
    .where('project', '=', inputs.project)
    .forUpdate()
    .executeTakeFirstOrThrow();
  // Another attempt has created it in the meantime.
  if (row.inputs_hash === hash && Number(row.firewall_id) !== stale) return false;
  if (row.holder_operation !== null && row.holder_attempt !== null) {
    const holder = { operationId: row.holder_operation, attempt: row.holder_attempt };
    if (await isActive(trx, holder)) return holder.operationId === operationId && holder.attempt === attempt;
    await fence.evict(holder);
  }
  await trx
    .updateTable('foundations')
    .set({ holder_operation: operationId, holder_attempt: attempt })
    .where('project', '=', inputs.project)
    .execute();
  return true;
}

/** Locks a project's foundation and calls `work`, unless an attempt has it. @returns whether it was called */
export async function holdFoundation(
  trx: Transaction,
  fence: Pick<Fence, 'evict'>,
  project: string,
  work: () => Promise<void>,
): Promise<boolean> {
  const row = await trx
    .selectFrom('foundations')
    .select(['holder_operation', 'holder_attempt'])
    .where('project', '=', project)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst();
  if (row === undefined) return false;
  if (row.holder_operation !== null && row.holder_attempt !== null) {
    const holder = { operationId: row.holder_operation, attempt: row.holder_attempt };
    if (await isActive(trx, holder)) return false;
    await fence.evict(holder);
  }
  await work();
  return true;
}

async function isActive(trx: Transaction, { operationId, attempt }: Holder): Promise<boolean> {
  const row = await trx
    .selectFrom('operations')
    .select('operation_id')
    .where('operation_id', '=', operationId)
    .where('attempt', '=', attempt)
    .where('status', '=', 'active')
    .executeTakeFirst();
  if (row !== undefined) return true;
  // The work on a slot, or on an image, is no operation.
  for (const table of ['slots', 'images'] as const) {
    const work = await trx
      .selectFrom(table)
      .select('work_id')
      .where('work_id', '=', operationId)
      .where('attempt', '=', attempt)
      .where(sql<boolean>`lease_until > now()`)
      .executeTakeFirst();
    if (work !== undefined) return true;
  }
  return false;
}

function hashOf(inputs: FoundationInputs, secretsProvider: string): string {
  // Without it for the passphrase, as in versions that had nothing else.
  const own = secretsProvider === PASSPHRASE ? [] : [secretsProvider];
  return createHash('sha256')
    .update(JSON.stringify([FOUNDATION_VERSION, inputs, ...own]))
    .digest('hex');
}
