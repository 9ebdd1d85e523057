import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { FoundationInputs } from '../../stacks/inputs.ts';
import type { HetznerClient } from '../clients/hetzner/hetzner.ts';
import type { Database } from '../database/connect.ts';
import type { Executor } from '../executors/local/executor.ts';
import { withLockRecovery } from './recovery.ts';
import type { Run } from './run.ts';

interface FoundationDeps {
  database: Database;
  executor: Executor;
  hetzner: HetznerClient;
}

/** Raised when the foundation's program changes, so that every project gets the new one before its next agent. */
const FOUNDATION_VERSION = 1;

/**
 * The firewall that the project's agents share, made if it is not there.
 * Only one worker at a time works on a project's foundation; the others wait for it.
 * @returns the firewall's id at Hetzner.
 */
export async function ensureFoundation(deps: FoundationDeps, run: Run, project: string): Promise<number> {
  const inputs = { project };
  const known = await findFoundation(deps.database, inputs);
  if (known !== undefined) return known;
  return deps.database.connection().execute(async (connection) => {
    await untilLocked(connection, project, run.signal);
    try {
      return (await findFoundation(connection, inputs)) ?? (await makeFoundation(deps, run, inputs));
    } finally {
      await sql`select pg_advisory_unlock(hashtext('foundation'), hashtext(${project}))`.execute(connection);
    }
  });
}

async function untilLocked(connection: Database, project: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const result = await sql<{ locked: boolean }>`
      select pg_try_advisory_lock(hashtext('foundation'), hashtext(${project})) as locked`.execute(
      connection,
    );
    if (result.rows[0]?.locked) return;
    await sleep(200, undefined, { signal });
  }
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
  const result = await withLockRecovery(executor, run, program, () =>
    executor.up(run, program, { mayBeNew: true }),
  );
  const firewallId = String(result.outputs.firewallId);
  await database
    .insertInto('foundations')
    .values({ project: inputs.project, firewall_id: firewallId, inputs_hash: hash(inputs) })
    .onConflict((conflict) =>
      conflict
        .column('project')
        .doUpdateSet({ firewall_id: firewallId, inputs_hash: hash(inputs), updated_at: sql`now()` }),
    )
    .execute();
  return Number(firewallId);
}

function hash(inputs: FoundationInputs): string {
  return createHash('sha256')
    .update(JSON.stringify([FOUNDATION_VERSION, inputs]))
    .digest('hex');
}
