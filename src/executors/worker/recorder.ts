import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { agentName } from '../../../stacks/inputs.ts';
import { type FoundResources, foundResourcesSchema, recordResources } from '../../agents/stack-resources.ts';
import { AGENT_STEPS, type AgentStep } from '../../agents/states.ts';
import { setAgentStep } from '../../agents/store.ts';
import { LEASE_SECONDS } from '../../config/timing.ts';
import { type Database, isDatabaseUnavailable } from '../../database/connect.ts';
import { cutText } from '../../database/storable.ts';
import { Backlog, gapLine } from '../../operations/backlog.ts';
import { type Claim, lockClaim } from '../../operations/claims.ts';
import { appendEvents, type OperationEvent } from '../../operations/events/events.ts';
import { LONGEST_LINE } from '../../operations/lengths.ts';
import { findOperation } from '../../operations/registry.ts';
import type { TellResources } from '../../pulumi/engine/stack-engine.ts';

/** Records an attempt's steps and log lines in the database while it runs. */
export interface Recorder {
  readonly currentStep: string;
  step(name: string): void;
  log(line: string): void;
  /** Records the resources of the agent's own stack; those of other stacks are nobody's. */
  foundResources: TellResources;
  /** Writes everything that is still buffered. */
  close(): Promise<void>;
}

const BATCH_MS = 150;
const RETRY_MS = 500;
/** Keeps only the newest lines of a flood, which would not fit into one statement. */
const MOST_LINES = 1_000;

/**
 * Writes steps at once and log lines in batches, because a notification takes a database-wide lock at commit.
 * Writes stay in order. `onError` receives the errors of failed writes; a LostError means that the attempt is
 * no longer ours.
 */
export function createRecorder(
  database: Database,
  operation: { claim: Claim; agentId: string; kind: string },
  onError: (error: unknown) => void,
): Recorder {
  let currentStep = 'queued';
  const held = new Backlog<OperationEvent>(MOST_LINES, ({ type }) => type === 'log');
  let isWaiting = false;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (held.isEmpty || isWaiting) return;
    isWaiting = true;
    // Takes the buffer only when its turn comes: until then, new lines of a flood push out old ones.
    const writeHeld = () => {
      isWaiting = false;
      return persist(database, operation, withGap(held.take()));
    };
    writing = writing.then(writeHeld).catch(onError);
  };
  const hold = (event: OperationEvent) => {
    held.push(event);
    timer ??= setTimeout(flush, BATCH_MS);
  };
  return {
    get currentStep() {
      return currentStep;
    },
    step: (name) => {
      if (name === currentStep) return;
      currentStep = name;
      hold({ type: 'step', data: { step: name } });
      flush();
    },
    log: (line) => {
      for (const part of line.split('\n')) hold({ type: 'log', data: { line: cutText(part, LONGEST_LINE) } });
    },
    foundResources: (stackName, verb, resources) => {
      const found = foundResourcesSchema.safeParse({ verb, resources });
      if (!found.success || stackName !== agentName(operation.agentId)) return;
      writing = writing.then(() => writeResources(database, operation, found.data)).catch(onError);
    },
    close: async () => {
      flush();
      await writing;
    },
  };
}

function writeResources(
  database: Database,
  { claim, agentId }: { claim: Claim; agentId: string },
  found: FoundResources,
): Promise<void> {
  return database.transaction().execute(async (trx) => {
    await lockClaim(trx, claim);
    await recordResources(trx, { agentId, operationId: claim.operationId }, found);
  });
}

function withGap({ leftOut, items }: { leftOut: number; items: OperationEvent[] }): OperationEvent[] {
  return leftOut === 0 ? items : [{ type: 'log', data: { line: gapLine(leftOut) } }, ...items];
}

/** Retries while the database is unavailable, at most for the length of a lease. */
async function persist(
  database: Database,
  operation: { claim: Claim; agentId: string; kind: string },
  events: OperationEvent[],
): Promise<void> {
  const deadline = Date.now() + LEASE_SECONDS * 1000;
  for (;;) {
    try {
      return await write(database, operation, events);
    } catch (error) {
      if (!isDatabaseUnavailable(error) || Date.now() > deadline) throw error;
      await sleep(RETRY_MS);
    }
  }
}

async function write(
  database: Database,
  { claim, agentId, kind }: { claim: Claim; agentId: string; kind: string },
  events: OperationEvent[],
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await lockClaim(trx, claim);
    const step = events.findLast((event) => event.type === 'step')?.data.step;
    if (step !== undefined) {
      await trx
        .updateTable('operations')
        .set({ step, updated_at: sql`now()` })
        .where('operation_id', '=', claim.operationId)
        .execute();
      if (findOperation(kind)?.createsAgent && isAgentStep(step)) await setAgentStep(trx, agentId, step);
    }
    await appendEvents(trx, claim.operationId, claim.attempt, events);
  });
}

function isAgentStep(step: string): step is AgentStep {
  return (AGENT_STEPS as readonly string[]).includes(step);
}
