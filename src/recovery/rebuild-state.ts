import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { RecordSeal } from '../agents/record-seal.ts';
import type { Vault } from '../agents/secrets.ts';
import { replaceFindings } from '../billing/follow/findings.ts';
import type { Database } from '../database/connect.ts';
import { isRecovering } from '../database/recovering.ts';
import { withLock } from '../database/with-lock.ts';
import { ConflictError, errorMessage } from '../errors.ts';
import type { Clock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import { destroyGone } from './gone.ts';
import { type Bought, type OrderDeps, readBought, restoreOrders } from './orders.ts';
import { type Found, type Plan, planRebuild, type Unclear } from './plan.ts';
import { type Restored, restoreRows } from './restore-rows.ts';
import { nameFinder, openRecords, type Survey, type SurveyedClouds, takeSurvey } from './survey.ts';

export interface RebuildDeps {
  database: Database;
  queue: Queue;
  clock: Clock;
  clouds: SurveyedClouds;
  vault: Vault;
  seal: RecordSeal;
  /** Undefined: Stripe cannot be asked here, and orders stay as they are. */
  orders: OrderDeps | undefined;
}

/** What a rebuild has done, or would do. */
export interface Rebuilt {
  /** Whether something was written. */
  applied: boolean;
  agents: { agentId: string; status: string; action: Restored | 'destroyed' | 'unclear' }[];
  slots: { slotId: string; action: Restored | 'unclear' }[];
  /** Orders that their agents have again. */
  orders: number;
  unclear: Pick<Unclear, 'agentId' | 'cause' | 'cure'>[];
}

/**
 * Rebuilds the rows of agents, slots and orders from Hetzner, Tailscale and Stripe, and queues the import of
 * each stack. No cloud is changed: only lists are read. It can be killed at any line and run again: each
 * agent's rows are one transaction, and work is allowed only by the last one.
 */
export async function rebuildState(
  deps: RebuildDeps,
  { actor, apply }: { actor: string; apply: boolean },
): Promise<Rebuilt> {
  const survey = await takeSurvey(deps.clouds);
  const bought = deps.orders && (await readBought(deps.orders));
  const opened = await openRecords(deps.seal, survey.sshKeys);
  const plan = withSafeSlots(planRebuild(survey, opened), bought);
  const isNamed = nameFinder(survey, opened);
  if (!apply) return toProposal(plan);
  return withLock(deps.database, 'rebuild-state', {
    work: () => applyPlan(deps, { actor, survey, isNamed, bought, plan }),
    taken: () => {
      throw new ConflictError('A rebuild is under way already');
    },
  });
}

interface Surveyed {
  actor: string;
  survey: Survey;
  isNamed: (agentId: string) => boolean;
  bought: Bought | undefined;
  plan: Plan;
}

async function applyPlan(deps: RebuildDeps, surveyed: Surveyed): Promise<Rebuilt> {
  const { actor, isNamed, bought, plan } = surveyed;
  const overwrites = await isRecovering(deps.database);
  const rebuilt: Rebuilt = { applied: true, agents: [], slots: [], orders: 0, unclear: [] };
  const unclear = [...plan.unclear];
  for (const found of plan.found) {
    const action = await tryToRestore({ ...deps, actor, overwrites }, found, unclear);
    tell(rebuilt, found, action);
  }
  if (overwrites) {
    const gone = await destroyGone(deps, surveyed, actor);
    for (const agentId of gone.destroyed)
      rebuilt.agents.push({ agentId, status: 'destroyed', action: 'destroyed' });
    unclear.push(...gone.unclear);
  }
  if (bought !== undefined) {
    const { restored, unclear: others } = await restoreOrders(deps.database, bought, isNamed);
    rebuilt.orders = restored;
    unclear.push(...others);
  }
  await finish(deps, actor, unclear);
  return { ...rebuilt, unclear: unclear.map(({ agentId, cause, cure }) => ({ agentId, cause, cure })) };
}

/**
 * A slot that an order had claimed just before everything was lost may look as if it waited: its agent's
 * record was not written yet. While a paid order lacks its agent, no slot is given to anybody.
 */
function withSafeSlots(plan: Plan, bought: Bought | undefined): Plan {
  const ids = new Set(plan.found.map(({ record }) => record.id));
  const lacks = bought?.orders.find(
    ({ decision: { agent, order } }) =>
      !ids.has(agent.agentId) && bought.subscriptions.get(order.subscriptionId ?? '')?.endedAt === null,
  );
  if (lacks === undefined) return plan;
  const { agentId } = lacks.decision.agent;
  const slots = plan.found.filter((found) => found.kind === 'slot');
  return {
    found: plan.found.filter((found) => found.kind !== 'slot'),
    unclear: [
      ...plan.unclear,
      ...slots.map(({ record: { id }, server }) => ({
        key: `${id} slot`,
        agentId: null,
        cause: `Server ${server.name} of ${id} may be that of agent ${agentId}, which is paid for and has no server of its own.`,
        cure: 'See which agent answers on it, and adopt it for that one; delete it at Hetzner if it is nobody’s.',
      })),
    ],
  };
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
  const { id } = found.record;
  if (found.kind === 'slot') rebuilt.slots.push({ slotId: id, action });
  else rebuilt.agents.push({ agentId: id, status: statusOf(found), action });
}

function toProposal({ found, unclear }: Plan): Rebuilt {
  const rebuilt: Rebuilt = { applied: false, agents: [], slots: [], orders: 0, unclear: [...unclear] };
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
