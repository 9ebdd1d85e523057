import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { RecordSeal } from '../agents/record-seal.ts';
import type { Vault } from '../agents/secrets.ts';
import type { SnapshotSeal } from '../agents/snapshot-seal.ts';
import { replaceFindings } from '../billing/follow/findings.ts';
import type { Database } from '../database/connect.ts';
import { isRecovering } from '../database/recovering.ts';
import { withLock } from '../database/with-lock.ts';
import { ConflictError, errorMessage } from '../errors.ts';
import type { Clock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import { destroyGone } from './gone.ts';
import { leftFinder } from './left.ts';
import { type Bought, type OrderDeps, readBought, restoreOrders } from './orders.ts';
import { type Found, type Plan, planRebuild, type Unclear } from './plan.ts';
import { type Restored, restoreRows } from './restore-rows.ts';
import { forgetSeals, planSnapshots, restoreSnapshots } from './snapshots.ts';
import { spareRecords } from './spare-records.ts';
import {
  nameFinder,
  type Opened,
  openRecords,
  type Survey,
  type SurveyedClouds,
  takeSurvey,
} from './survey.ts';
import { holdProvisions } from './unbegun.ts';

export interface RebuildDeps {
  database: Database;
  queue: Queue;
  clock: Clock;
  clouds: SurveyedClouds;
  vault: Vault;
  seal: RecordSeal;
  snapshotSeal: Pick<SnapshotSeal, 'isValid'>;
  /** Undefined: Stripe cannot be asked here, and orders stay as they are. */
  orders: OrderDeps | undefined;
}

/** What a rebuild has done, or would do. */
export interface Rebuilt {
  /** Whether something was written. */
  applied: boolean;
  agents: { agentId: string; status: string; action: Restored | 'destroyed' | 'unclear' }[];
  slots: { slotId: string; action: 'known' | 'unclear' }[];
  /** Agents' snapshots that have their rows again. */
  snapshots: number;
  /** Orders that their agents have again. */
  orders: number;
  unclear: Pick<Unclear, 'agentId' | 'cause' | 'cure'>[];
}

/**
 * Rebuilds the rows of agents and orders from Hetzner, Tailscale and Stripe, and queues the import of each
 * stack. Slots are only listed. No cloud is changed: only lists are read. It can be killed at any line and
 * run again: each agent's rows are one transaction, and work is allowed only by the last one.
 */
export async function rebuildState(
  deps: RebuildDeps,
  { actor, apply }: { actor: string; apply: boolean },
): Promise<Rebuilt> {
  const survey = await takeSurvey(deps.clouds);
  const bought = deps.orders && (await readBought(deps.orders));
  const opened = await openRecords(deps.seal, survey.sshKeys);
  const plan = await knowSlots(deps.database, planRebuild(survey, opened));
  const isNamed = nameFinder(survey, opened);
  if (!apply) return toProposal(plan);
  return withLock(deps.database, 'rebuild-state', {
    work: () => applyPlan(deps, { actor, survey, opened, isNamed, bought, plan }),
    taken: () => {
      throw new ConflictError('A rebuild is under way already');
    },
  });
}

interface Surveyed {
  actor: string;
  survey: Survey;
  opened: readonly Opened[];
  isNamed: (agentId: string) => boolean;
  bought: Bought | undefined;
  plan: KnownPlan;
}

async function applyPlan(deps: RebuildDeps, surveyed: Surveyed): Promise<Rebuilt> {
  const { actor, survey, opened, isNamed, bought, plan } = surveyed;
  const overwrites = await isRecovering(deps.database);
  const rebuilt: Rebuilt = { applied: true, agents: [], slots: plan.slots, ...NONE, unclear: [] };
  const unclear = [...plan.unclear];
  for (const found of plan.found) {
    const action = await tryToRestore({ ...deps, actor, overwrites }, found, unclear);
    tell(rebuilt, found, action);
  }
  if (overwrites) {
    await spareRecords(deps.database, listLeft(opened, rebuilt));
    await forgetSeals(deps.database);
    const gone = await destroyGone(deps, surveyed, actor);
    for (const agentId of gone.destroyed)
      rebuilt.agents.push({ agentId, status: 'destroyed', action: 'destroyed' });
    unclear.push(...gone.unclear, ...(await holdUnbegun(deps, surveyed)));
  }
  rebuilt.snapshots = await tellSnapshots(deps, survey, unclear);
  if (bought !== undefined) {
    const { restored, unclear: others } = await restoreOrders(deps.database, bought, isNamed);
    rebuilt.orders = restored;
    unclear.push(...others);
  }
  await finish(deps, actor, unclear);
  return { ...rebuilt, unclear: unclear.map(({ agentId, cause, cure }) => ({ agentId, cause, cure })) };
}

/** After the agents whose keys were found: their provisions go on. */
function holdUnbegun(deps: RebuildDeps, { survey, isNamed, actor }: Surveyed): Promise<Unclear[]> {
  const hasLeft = leftFinder(survey);
  return holdProvisions(deps, (row) => isNamed(row.agent_id) || hasLeft(row), actor);
}

/** After the agents' rows, which theirs belong to. */
async function tellSnapshots(
  { database, snapshotSeal }: RebuildDeps,
  survey: Survey,
  unclear: Unclear[],
): Promise<number> {
  const planned = await planSnapshots(snapshotSeal, survey.snapshots);
  const { restored, unclear: others } = await restoreSnapshots(database, planned.found);
  unclear.push(...planned.unclear, ...others);
  return restored;
}

const NONE = { snapshots: 0, orders: 0 };

type KnownPlan = Pick<Plan, 'found' | 'unclear'> & Pick<Rebuilt, 'slots'>;

/** A slot whose row is there is the pool's as before; any other is left to a person. */
async function knowSlots(database: Database, { found, slots, unclear }: Plan): Promise<KnownPlan> {
  const { rows } = await sql<{ id: string }>`select slot_id as id from slots
    where ended_at is null and slot_id = any(${slots.map(({ slotId }) => slotId)}::text[])`.execute(database);
  const known = new Set(rows.map(({ id }) => id));
  const others = slots.filter(({ slotId }) => !known.has(slotId));
  return {
    found,
    slots: slots.map(({ slotId }) => ({ slotId, action: known.has(slotId) ? 'known' : 'unclear' })),
    unclear: [...unclear, ...others.map((one) => one.unclear)],
  };
}

/** The agents whose records could not become rows. */
function listLeft(opened: readonly Opened[], { agents }: Rebuilt): string[] {
  const done = new Set(agents.flatMap(({ agentId, action }) => (action === 'unclear' ? [] : [agentId])));
  const ids = opened.flatMap((one) =>
    'record' in one && one.record.kind === 'agent' ? [one.record.id] : [],
  );
  return ids.filter((id) => !done.has(id));
}

async function tryToRestore(
  deps: Parameters<typeof restoreRows>[0],
  found: Found,
  unclear: Unclear[],
): Promise<Restored | 'unclear'> {
  try {
    return await restoreRows(deps, found);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const { id } = found.record;
    unclear.push({
      key: `${id} conflict`,
      agentId: null,
      cause: `${id} was not rebuilt: ${errorMessage(error)}.`,
      cure: 'Two records claim the same. Look at both servers, and delete or adopt the one that is wrong.',
    });
    return 'unclear';
  }
}

const statusOf = (found: Found) => (found.kind === 'agent' ? found.status : found.kind);

function tell(rebuilt: Rebuilt, found: Found, action: Restored | 'unclear'): void {
  rebuilt.agents.push({ agentId: found.record.id, status: statusOf(found), action });
}

function toProposal({ found, slots, unclear }: KnownPlan): Rebuilt {
  const rebuilt: Rebuilt = { applied: false, agents: [], slots, ...NONE, unclear: [...unclear] };
  for (const one of found) tell(rebuilt, one, one.kind === 'unfinished' ? 'resumed' : 'rebuilt');
  return rebuilt;
}

/** Lets work begin. Orders from before this database are its own: it goes on where the lost one stood. */
async function finish({ database, clock }: RebuildDeps, actor: string, unclear: readonly Unclear[]) {
  await database.transaction().execute(async (trx) => {
    const findings = unclear.map(({ key, agentId, cause, cure }) => ({
      class: 'mismatch' as const,
      key,
      cause: agentId === null || cause.includes(agentId) ? cause : `${agentId}: ${cause}`,
      cure,
    }));
    await replaceFindings(trx, { source: 'recovery' }, findings, clock.now());
    await sql`update installation set recovery = 'none', created_at = least(created_at,
      coalesce((select min(created_at) from agents), created_at))`.execute(trx);
    await audit(trx, { actor, action: 'recovery.finished', details: { unclear: unclear.length } });
  });
}
