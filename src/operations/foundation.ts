import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { FoundationInputs } from '../../stacks/inputs.ts';
import type { HetznerClient } from '../clients/hetzner/hetzner.ts';
import type { Fence } from '../clients/pulumi/fence.ts';
import type { Database } from '../database/connect.ts';
import type { Executor } from '../executors/local/executor.ts';
import { clearPending, withLockRecovery } from './recovery.ts';
import type { Run } from './run.ts';

interface FoundationDeps {
  database: Database;
  executor: Executor;
  fence: Fence;
  hetzner: HetznerClient;
}

/** Raised when the foundation's program changes, so that every project gets the new one before its next agent. */
const FOUNDATION_VERSION = 1;
const LOOK_MS = 200;

/**
 * The firewall that the project's agents share, made if it is not there.
 * Only one attempt at a time works on a project's foundation; the others wait for it, and succeed it if it is lost.
 * @returns the firewall's id at Hetzner.
 */
export async function ensureFoundation(deps: FoundationDeps, run: Run, project: string): Promise<number> {
  const inputs = { project };
  for (;;) {
    const known = await findFoundation(deps.database, inputs);
    if (known !== undefined && (await stillThere(deps, run, project, known))) return known;
    if (await takeFoundation(deps, run, { inputs, stale: known })) return makeFoundation(deps, run, inputs);
    await sleep(LOOK_MS, undefined, { signal: run.signal });
  }
}

/** After a try that failed the firewall is looked for: one that somebody has deleted is made anew. */
async function stillThere(
  { hetzner }: FoundationDeps,
  run: Run,
  project: string,
  firewallId: number,
): Promise<boolean> {
  if (run.operation.attempt === 1) return true;
  return (await hetzner.findFirewall(`agents-${project}`))?.id === firewallId;
}

async function findFoundation(database: Database, inputs: FoundationInputs): Promise<number | undefined> {
  const row = await database
    .selectFrom('foundations')
    .select('firewall_id')
    .where('project', '=', inputs.project)
    .where('inputs_hash', '=', hash(inputs))
    .executeTakeFirst();
  return row === undefined ? undefined : Number(row.firewall_id);
}

/**
 * Makes this attempt the one that works on the foundation, unless another that still holds its lease does. The sessions of one
 * that has lost it are ended first: it must not write once we begin.
 */
async function takeFoundation(
  { database, fence }: FoundationDeps,
  run: Run,
  { inputs, stale }: { inputs: FoundationInputs; stale: number | undefined },
): Promise<boolean> {
  const { operation_id: operationId, attempt } = run.operation;
  const { project } = inputs;
  await database
    .insertInto('foundations')
    .values({ project })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return database.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('foundations')
      .selectAll()
      .where('project', '=', project)
      .forUpdate()
      .executeTakeFirstOrThrow();
    // Another attempt has finished it since we looked.
    if (row.inputs_hash === hash(inputs) && Number(row.firewall_id) !== stale) return false;
    if (row.holder_operation !== null && row.holder_attempt !== null) {
      const holder = { operationId: row.holder_operation, attempt: row.holder_attempt };
      if (await isActive(trx, holder))
        return holder.operationId === operationId && holder.attempt === attempt;
      await fence.evict(holder);
    }
    await trx
      .updateTable('foundations')
      .set({ holder_operation: operationId, holder_attempt: attempt })
      .where('project', '=', project)
      .execute();
    return true;
  });
}

async function isActive(
  trx: Database,
  { operationId, attempt }: { operationId: string; attempt: number },
): Promise<boolean> {
  const row = await trx
    .selectFrom('operations')
    .select('operation_id')
    .where('operation_id', '=', operationId)
    .where('attempt', '=', attempt)
    .where('status', '=', 'active')
    .executeTakeFirst();
  return row !== undefined;
}

async function makeFoundation(
  { database, executor, hetzner }: FoundationDeps,
  run: Run,
  inputs: FoundationInputs,
): Promise<number> {
  run.log(`The project ${inputs.project} has no firewall yet: making its foundation`);
  // One that an earlier try made and could not record is taken over.
  const firewall = await hetzner.findFirewall(`agents-${inputs.project}`);
  const program = {
    stack: 'foundation' as const,
    inputs,
    ...(firewall === undefined ? {} : { found: { firewallId: String(firewall.id) } }),
  };
  // The state learns of a firewall that was deleted, and forgets what a killed try had begun to create.
  const exists = run.operation.attempt > 1 && (await clearPending(executor, run, program));
  const result = await withLockRecovery(executor, run, program, () =>
    executor.up(run, program, { mayBeNew: !exists }),
  );
  const firewallId = String(result.outputs.firewallId);
  await database
    .updateTable('foundations')
    .set({
      firewall_id: firewallId,
      inputs_hash: hash(inputs),
      holder_operation: null,
      holder_attempt: null,
      updated_at: sql`now()`,
    })
    .where('project', '=', inputs.project)
    .where('holder_operation', '=', run.operation.operation_id)
    .where('holder_attempt', '=', run.operation.attempt)
    .execute();
  return Number(firewallId);
}

function hash(inputs: FoundationInputs): string {
  return createHash('sha256')
    .update(JSON.stringify([FOUNDATION_VERSION, inputs]))
    .digest('hex');
}
