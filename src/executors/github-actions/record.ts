import { sql } from 'kysely';
import { z } from 'zod';
import { serverIdSchema } from '../../../stacks/outputs.ts';
import { recordInputs } from '../../agents/record-inputs.ts';
import { createVault } from '../../agents/secrets.ts';
import { foundResourcesSchema, recordResources } from '../../agents/stack-resources.ts';
import { getAgent } from '../../agents/store.ts';
import type { SnapshotPolicy } from '../../config/snapshots.ts';
import type { Database, Transaction } from '../../database/connect.ts';
import { cutText, jsonText } from '../../database/storable.ts';
import { ConflictError, InvalidInputError } from '../../errors.ts';
import type { Keyring } from '../../keys/keyring.ts';
import { reseal } from '../../keys/reseal.ts';
import { gapLine } from '../../operations/backlog.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { LONGEST_LINE } from '../../operations/lengths.ts';
import type { KnownSnapshot, LastSnapshot } from '../../operations/runbook-parts.ts';
import { recordSpans } from '../../operations/traces/record-spans.ts';
import { markAgentsProjectFull } from '../../projects/placement.ts';
import type { FoundationStore } from '../../runbooks/steps/foundation-store.ts';
import type { Secret } from '../../secret.ts';
import { beat, getStanding, lockFor, type Sender } from './attempts.ts';
import { check } from './callback.ts';
import { refuseForeignInputs, reportedInputsSchema } from './inputs.ts';
import { resultSchema, resultSchemaFor } from './result.ts';
import { findProjectForRunner, moveForRunner } from './runner-projects.ts';
import { findForRunner, recordInPlace, recordLastSnapshot } from './runner-snapshots.ts';
import { fromSent, MAX_SPANS, sentSpanSchema } from './sent-spans.ts';

const MAX_LINES = 500;
/** Several times the length of an agent's sealed keys. */
const LONGEST_SEALED = 20_000;

const projectName = z
  .string()
  .max(40)
  .regex(/^[a-z0-9](-?[a-z0-9])*$/);
const foundationInputs = z.object({ project: projectName });
const firewallId = z.int().positive();
const madeSnapshotSchema = z.object({
  hetznerId: serverIdSchema,
  sizeGb: z.number().positive().max(1_000_000),
  serverId: serverIdSchema.nullable(),
});

/** Data that a runner records with the service, or requests from it, while it works. */
export const recordSchema = z.discriminatedUnion('kind', [
  /** A heartbeat; refused once the attempt is over. */
  z.object({ kind: z.literal('alive') }),
  z.object({ kind: z.literal('log'), lines: z.array(z.string()).max(MAX_LINES) }),
  /** What took time, for the operation's trace; `ageMs`: how long ago it ended. */
  z.object({ kind: z.literal('spans'), spans: z.array(sentSpanSchema).max(MAX_SPANS) }),
  /** Sent before anything is created: the stack's inputs and the agent's sealed keys (base64). */
  z.object({
    kind: z.literal('inputs'),
    inputs: reportedInputsSchema,
    sealedKeys: z.base64().min(1).max(LONGEST_SEALED),
  }),
  /** Sent before a server is deleted in whose place the snapshot is kept. Null forgets the recorded one. */
  z.object({ kind: z.literal('snapshot'), snapshotId: serverIdSchema.nullable() }),
  /**
   * Asks whether a last snapshot is wanted before the destroy, and ends a restore drill; then tells the
   * snapshot before anything is deleted.
   */
  z.object({ kind: z.literal('last-snapshot'), made: madeSnapshotSchema.optional() }),
  /** Asks for the snapshot to which the agent is to be put back. */
  z.object({ kind: z.literal('find-snapshot'), snapshotId: z.guid() }),
  /** Hetzner has refused the agent's project a server. */
  z.object({ kind: z.literal('project-full') }),
  /** Asks which project takes the agent if its own is full. */
  z.object({ kind: z.literal('project-find') }),
  /** Sent once nothing of the agent is left in its project. */
  z.object({ kind: z.literal('project-move'), to: projectName }),
  /** Sent after each engine run that saw the agent's whole stack. */
  z.object({ kind: z.literal('resources'), found: foundResourcesSchema }),
  z.object({ kind: z.literal('result'), result: resultSchema }),
  z.object({ kind: z.literal('foundation-find'), inputs: foundationInputs }),
  z.object({ kind: z.literal('foundation-take'), inputs: foundationInputs, stale: firewallId.optional() }),
  z.object({ kind: z.literal('foundation-made'), inputs: foundationInputs, firewallId }),
]);
export type RunnerRecord = z.infer<typeof recordSchema>;

/** The answer to a runner; most records have no result. */
export interface RecordAnswer {
  received: true;
  firewallId?: number;
  taken?: boolean;
  last?: LastSnapshot;
  snapshot?: KnownSnapshot;
  project?: string;
  moved?: boolean;
}

export interface RecordDeps {
  database: Database;
  callbackSecret: Secret;
  foundations: FoundationStore;
  /** Which agents have a last snapshot before their destroy; default: none. */
  snapshots?: SnapshotPolicy | undefined;
  /** The service's own passphrase, which must open the keys that a runner records. */
  keyring?: Keyring;
}

/** @throws NotFoundError, InvalidInputError, or ConflictError if the attempt is not active */
export async function recordForRunner(
  deps: RecordDeps,
  sender: Sender,
  record: RunnerRecord,
): Promise<RecordAnswer> {
  const { row, last, moved } = await deps.database.transaction().execute(async (trx) => {
    const found = await lockFor(trx, deps.callbackSecret, sender);
    if (found.status !== 'active')
      throw new ConflictError(
        getStanding(found) === 'over'
          ? `Job ${sender.jobId} has ended: ${found.status}`
          : 'Claim the job first',
      );
    await write(trx, found, withOwnKey(deps, found, record));
    await beat(trx, found);
    const told = record.kind === 'last-snapshot' ? record : undefined;
    const last = told && (await recordLastSnapshot(trx, deps.snapshots, found, told.made));
    const moved = record.kind === 'project-move' && (await moveForRunner(trx, found, record.to));
    return { row: found, last, moved };
  });
  const holder = { operationId: row.operation_id, attempt: row.attempt };
  switch (record.kind) {
    case 'foundation-find': {
      const known = await deps.foundations.find(record.inputs);
      return { received: true, ...(known === undefined ? {} : { firewallId: known }) };
    }
    case 'foundation-take':
      return { received: true, taken: await deps.foundations.take(holder, record) };
    case 'last-snapshot':
      return { received: true, ...(last && { last }) };
    case 'find-snapshot':
      return { received: true, ...(await findForRunner(deps.database, row, record.snapshotId)) };
    case 'project-find':
      return { received: true, ...(await findProjectForRunner(deps.database, row)) };
    case 'project-move':
      return { received: true, moved };
    case 'foundation-made':
      await deps.foundations.made(holder, record);
      return { received: true };
    default:
      return { received: true };
  }
}

/**
 * Seals the keys with the present passphrase, which may have changed since the runner began. Refuses keys
 * that the service cannot open. The runner waits for the answer before it creates anything.
 */
function withOwnKey({ keyring }: RecordDeps, row: OperationRow, record: RunnerRecord): RunnerRecord {
  if (record.kind !== 'inputs' || keyring === undefined) return record;
  const sealed = Buffer.from(record.sealedKeys, 'base64');
  if (!createVault(keyring).canOpen(row.agent_id, sealed))
    throw new InvalidInputError('sealedKeys cannot be opened with the service’s PULUMI_CONFIG_PASSPHRASE');
  const own = reseal(keyring, keyring.sealing, row.agent_id, sealed);
  return { ...record, sealedKeys: own.toString('base64') };
}

/** An event is one line: none of a text's others must pass for ours, in the file or on a terminal. */
function toLines(texts: readonly string[]): string[] {
  const all = texts.flatMap((text) => text.split(/\r?\n/));
  const lines = all.slice(0, MAX_LINES).map((line) => cutText(line, LONGEST_LINE));
  return all.length > lines.length ? [...lines, gapLine(all.length - lines.length)] : lines;
}

async function write(trx: Transaction, row: OperationRow, record: RunnerRecord): Promise<void> {
  switch (record.kind) {
    case 'log':
      return appendEvents(
        trx,
        row.operation_id,
        row.attempt,
        toLines(record.lines).map((line) => ({ type: 'log', data: { line } })),
      );
    case 'spans': {
      const { operation_id: operationId, attempt } = row;
      return recordSpans(trx, { operationId, attempt }, record.spans.map(fromSent));
    }
    case 'inputs':
      refuseForeignInputs(record.inputs, row, await getAgent(trx, row.agent_id));
      return recordInputs(trx, row.agent_id, {
        inputs: record.inputs,
        secrets: Buffer.from(record.sealedKeys, 'base64'),
      });
    case 'snapshot':
      return recordInPlace(trx, row, record.snapshotId);
    case 'project-full':
      return markAgentsProjectFull(trx, row.agent_id);
    case 'resources':
      return recordResources(trx, { agentId: row.agent_id, operationId: row.operation_id }, record.found);
    case 'result': {
      const { result } = check(z.object({ result: resultSchemaFor(row, record.result) }), record);
      await trx
        .updateTable('operations')
        .set({ result: jsonText(result), updated_at: sql`now()` })
        .where('operation_id', '=', row.operation_id)
        .execute();
      return;
    }
    default:
      return;
  }
}
