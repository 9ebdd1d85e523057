import { sql } from 'kysely';
import { type PoolConfig, poolSizesAt } from '../config/pool.ts';
import { isRecovering } from '../database/recovering.ts';
import { errorMessage } from '../errors.ts';
import { waitsForNews } from '../operations/claims.ts';
import { isPassedBy } from '../operations/give-way.ts';
import { createOneAtATime, type OneAtATime } from '../processes/one-at-a-time.ts';
import { repeatEvery } from '../processes/repeat.ts';
import { listOpenProjects, type PoolHome } from '../projects/projects.ts';
import { wasJustClaimed } from '../slots/claim.ts';
import { readCeiling, recordDemands, type WantedPool, withdrawDemands } from '../slots/demands.ts';
import { type SlotRow, takeSlotWork } from '../slots/slots.ts';
import { type Beside, type BesideDeps, createBeside } from './beside.ts';
import { fingerprintFor } from './fingerprint.ts';
import { planSlots } from './plan-slots.ts';
import { runSlotAttempt, type SlotAttemptDeps } from './slot-attempt.ts';

export interface KeeperDeps extends SlotAttemptDeps, BesideDeps {
  pool: PoolConfig;
  workerId: string;
}

const LOOK_SECONDS = 1;
/** While orders claim slots nothing is planned, but at most for so long: a slot's health must be known. */
const MOST_QUIET_MS = 5_000;

/**
 * Keeps the pools as the configuration wants them. Slots are made and removed in places of their own beside
 * the worker's, and none begins while an operation waits: a paying order is never behind a refill.
 */
export function startPoolKeeper(deps: KeeperDeps, lookSeconds = LOOK_SECONDS): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const underWay: UnderWay = { making: new Set(), removing: new Set(), beginning: createOneAtATime() };
  const beside = createBeside(deps, stopping.signal);
  let keptAt = Number.NEGATIVE_INFINITY;
  const look = async () => {
    try {
      if (!(await demand(deps))) return;
      if (performance.now() < keptAt + MOST_QUIET_MS && (await isHandingOver(deps))) return;
      keptAt = performance.now();
      await keep(deps, beside);
      await begin(deps, underWay, stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted)
        deps.log.warn({ event: 'pool.look_failed', error: errorMessage(error) }, 'could not keep the pools');
    }
  };
  const repeating = repeatEvery(lookSeconds, look);
  return {
    stop: async () => {
      stopping.abort(new Error('The worker is stopping'));
      await repeating.stop();
      await beside.stop();
      await withdrawDemands(deps.database, deps.workerId);
      // What is just being taken is under way too.
      await begin(deps, underWay, stopping.signal).catch(() => {});
      await Promise.all([...underWay.making, ...underWay.removing]);
    },
  };
}

/**
 * Says what this worker wants, at each look and before anything that may take long: while it is silent no
 * order gets a slot. @returns false if there is neither a pool nor a slot to work on
 */
async function demand(deps: KeeperDeps): Promise<boolean> {
  const { database, workerId, pool } = deps;
  // Slots of a lost database may be found again.
  if (await isRecovering(database)) return false;
  const wanted = await readWanted(deps, new Date());
  if (wanted.length === 0 && !(await hasAny(deps))) return false;
  await recordDemands(database, workerId, wanted, pool.eurosPerHour);
  return true;
}

/** Lets the slots be asked for their health, and compares the pools with all demands. */
async function keep({ database, log }: KeeperDeps, beside: Beside): Promise<void> {
  beside.checkHealth();
  // Nothing is planned by prices that were never looked at; old ones count.
  if ((await readCeiling(database)) < Infinity && !beside.refreshPrices()) return;
  const { retired, added } = await planSlots(database);
  if (retired + added > 0) log.info({ event: 'pool.planned', retired, added }, 'the pools have changed');
}

/** Nothing is demanded in a project that is drained: its slots are retired as those of a smaller pool are. */
async function readWanted({ database, pool, parts }: KeeperDeps, at: Date): Promise<WantedPool[]> {
  const sizes = poolSizesAt(pool, at);
  if (sizes.length === 0) return [];
  return toWanted(parts.settings, sizes, await listOpenProjects(database));
}

/**
 * Assigns each pool its Hetzner project: the named one if that takes something new, or the first that does.
 * Two that come together are one, of the larger size.
 */
export function toWanted(
  settings: KeeperDeps['parts']['settings'],
  sizes: ReturnType<typeof poolSizesAt>,
  open: readonly PoolHome[],
): WantedPool[] {
  const wanted = new Map<string, WantedPool>();
  for (const { project: named, ...one } of sizes) {
    const home = open.find(
      ({ name, locations }) =>
        (named === undefined || name === named) && (locations === null || locations.includes(one.location)),
    );
    if (home === undefined) continue;
    const key = `${home.name} ${one.location} ${one.plan}`;
    const size = Math.max(one.size, wanted.get(key)?.size ?? 0);
    const fingerprint = fingerprintFor(settings, one);
    wanted.set(key, { project: home.name, ...one, size, fingerprint });
  }
  return [...wanted.values()];
}

/** Without a pool in the configuration, those of an earlier one are emptied. */
async function hasAny({ database }: KeeperDeps): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select 1 from pools where size > 0) or exists (select 1 from pool_demands)
      or exists (select 1 from slots where status in ('making', 'ready', 'removing')) as found`.execute(
    database,
  );
  return rows[0]?.found === true;
}

/** The work on slots that is under way. Removals have places of their own: an order may wait for one. */
interface UnderWay {
  making: Set<Promise<void>>;
  removing: Set<Promise<void>>;
  /** Two that begin work at the same moment would both see the same free place. */
  beginning: OneAtATime;
}

/** Begins as much work on slots as there are places for. */
function begin(deps: KeeperDeps, underWay: UnderWay, signal: AbortSignal): Promise<void> {
  return underWay.beginning(async () => {
    // Removals end what is billed: they wait for nothing.
    while (hasPlace(deps, underWay.removing, signal))
      if (!(await beginNext(deps, underWay, signal, 'removing'))) break;
    while (hasPlace(deps, underWay.making, signal) && !(await isAnyWaiting(deps)))
      if (!(await beginNext(deps, underWay, signal, 'making'))) break;
  });
}

const hasPlace = ({ pool }: KeeperDeps, taken: ReadonlySet<unknown>, { aborted }: AbortSignal) =>
  taken.size < pool.refills && !aborted;

/** @returns false if there is none */
async function beginNext(
  deps: KeeperDeps,
  underWay: UnderWay,
  signal: AbortSignal,
  status: 'making' | 'removing',
): Promise<boolean> {
  const wanted = status === 'making' ? await readWanted(deps, new Date()) : [];
  const slot = await takeSlotWork(deps.database, deps.workerId, deps.leaseSeconds, {
    fingerprints: wanted.map(({ fingerprint }) => fingerprint),
    projects: deps.parts.ownProjects,
    status,
  });
  if (slot !== undefined) start(deps, slot, { underWay, status, signal });
  return slot !== undefined;
}

function start(
  deps: KeeperDeps,
  slot: SlotRow,
  { underWay, status, signal }: { underWay: UnderWay; status: 'making' | 'removing'; signal: AbortSignal },
): void {
  const running = runSlotAttempt(deps, slot, deps.workerId, signal).finally(() => {
    underWay[status].delete(running);
    // The next one need not wait for the next look.
    void begin(deps, underWay, signal).catch(() => {});
  });
  underWay[status].add(running);
}

/** Whether an operation could begin that no worker has taken, or a slot is being handed over. */
async function isAnyWaiting({ database }: KeeperDeps): Promise<boolean> {
  const { rows } = await sql<{ waits: boolean }>`
    select exists (select 1 from operations o where o.status = 'queued' and o.executor = 'local'
      and (o.waits_for is null or o.room is not null) and o.run_after <= now() and o.priority >= 0
      and not ${waitsForNews}
      and not exists (select 1 from operations p where p.agent_id = o.agent_id and (p.status = 'active'
        or (p.status = 'queued' and p.sequence < o.sequence and not ${isPassedBy('p')}))))
      or ${wasJustClaimed} as waits`.execute(database);
  return rows[0]?.waits === true;
}

async function isHandingOver({ database }: KeeperDeps): Promise<boolean> {
  const { rows } = await sql<{ yes: boolean }>`select ${wasJustClaimed} as yes`.execute(database);
  return rows[0]?.yes === true;
}
