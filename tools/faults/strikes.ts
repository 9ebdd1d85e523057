import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { errorMessage } from '../../src/errors.ts';
import { checkHeld, guardData } from './held-data.ts';
import { drillSnapshot, keepSnapshot, keptFor, lastDrill, revertAgent } from './kept-acts.ts';
import { kill, type Target } from './kill.ts';
import type { Violation } from './model.ts';
import { CHILD_KINDS, type Child, type ChildKind } from './processes.ts';
import {
  beginAdoption,
  beginClaim,
  changeHold,
  checkWhenQuiet,
  destroyAgent,
  hibernateAgent,
  orderAgent,
  readAgent,
  readOperations,
  type ScenarioContext,
} from './scenario-context.ts';
import { withClient } from './snapshot.ts';
import { until } from './until.ts';

interface Phase {
  request(context: ScenarioContext, agentId: string): Promise<unknown>;
  /** The agent's status after it. */
  wanted: string;
  /** Its beginning and its end both have the agent's data. */
  keepsData: boolean;
  /** The kind of its operation, if that has another name; null: it is no operation, but a drill. */
  kind?: string | null;
}

/** The operations that are killed, and how each is asked for. */
const PHASES = {
  provision: { request: orderAgent, wanted: 'running', keepsData: false },
  destroy: { request: destroyAgent, wanted: 'destroyed', keepsData: false },
  suspend: { request: changeHold('hold'), wanted: 'suspended', keepsData: true },
  resume: { request: changeHold('release'), wanted: 'running', keepsData: true },
  hibernate: { request: hibernateAgent, wanted: 'hibernated', keepsData: true },
  wake: { request: changeHold('release'), wanted: 'running', keepsData: true },
  claim: { request: beginClaim, wanted: 'running', keepsData: false, kind: 'provision' },
  adopt: { request: beginAdoption, wanted: 'running', keepsData: false },
  snapshot: { request: keepSnapshot, wanted: 'running', keepsData: true },
  drill: { request: drillSnapshot, wanted: 'running', keepsData: true, kind: null },
  revert: { request: revertAgent, wanted: 'running', keepsData: true },
} satisfies Record<string, Phase>;
export type PhaseName = keyof typeof PHASES;
const kindOf = (phase: PhaseName): string | null => {
  const { kind = phase } = PHASES[phase] as Phase;
  return kind;
};
export const PHASE_NAMES = Object.keys(PHASES) as [PhaseName, ...PhaseName[]];

export interface Strike {
  target: Target;
  phase: PhaseName;
  /** Milliseconds after the request. */
  atMs: number;
  /** Whether such a process existed before the operation ended. */
  hit: boolean;
  /** From the kill until all is quiet, including the restart. */
  recoverySeconds: number;
  attempts: number;
  /** How often Hetzner was asked meanwhile whether the agent's data is there; 0 where it need not be. */
  looks: number;
  violations: Violation[];
}

export interface StrikeOptions {
  workers: number;
  /** Whether every operation is met when its attempt has started Pulumi, and nothing was measured. */
  whenAtWork: boolean;
  say(line: string): void;
}

const LIMIT_SECONDS = 240;

/** An operation without a fault: its duration, and when each kind of process was first and last seen. */
export interface Measured {
  lengthMs: number;
  seen: Partial<Record<ChildKind, { firstMs: number; lastMs: number }>>;
}

/** What stands for a length where operations are met when they are at work. */
export const UNMEASURED: Measured = {
  lengthMs: 0,
  seen: Object.fromEntries(CHILD_KINDS.map((kind) => [kind, { firstMs: 0, lastMs: 0 }])),
};

/** Runs an operation without a fault. @throws Error if it does not end as it should, or violates anything */
export async function measurePhase(
  context: ScenarioContext,
  options: StrikeOptions,
  { phase, agentId }: { phase: PhaseName; agentId: string },
): Promise<Measured> {
  await PHASES[phase].request(context, agentId);
  const measured = await watch(context, agentId, phase);
  const violations = await checked(context, options);
  if (violations.length > 0)
    throw new Error(`${phase} of ${agentId} without a fault: ${JSON.stringify(violations)}`);
  return measured;
}

/** A claim takes less than a second: between two looks its end must not get lost. */
const LOOK_MS = 50;

/** One connection for all its looks: nothing is killed meanwhile. */
function watch(context: ScenarioContext, agentId: string, phase: PhaseName): Promise<Measured> {
  return withClient(context.installation.file.databaseUrl, async (client) => {
    const startedAt = performance.now();
    const seen: Measured['seen'] = {};
    for (let lookedAt = 0; ; ) {
      const now = performance.now() - startedAt;
      for (const { kind } of context.installation.children())
        seen[kind] = { firstMs: seen[kind]?.firstMs ?? now, lastMs: now };
      if (now - lookedAt > LOOK_MS) {
        if (await isOver(client, agentId, phase)) return { lengthMs: Math.round(now), seen };
        if (now > LIMIT_SECONDS * 1000) throw new Error(`the ${phase} of ${agentId} does not end`);
        lookedAt = performance.now() - startedAt;
      }
      await sleep(15);
    }
  });
}

async function isOver(client: pg.ClientBase, agentId: string, phase: PhaseName): Promise<boolean> {
  const { rows } = await client.query<{ status: string; last: string | null }>(
    `select status, case when $2::text is null
       then (select status from snapshot_drills where agent_id = $1 order by started_at desc limit 1)
       else (select status from operations where agent_id = $1 and kind = $2 order by sequence desc limit 1)
       end as last from agents where agent_id = $1`,
    [agentId, kindOf(phase)],
  );
  return rows[0]?.status === PHASES[phase].wanted && rows[0].last === 'succeeded';
}

/**
 * Moment `index` of `count`, evenly over the time in which there is something to kill; undefined if there
 * never is.
 */
export function chooseMoment(
  measured: Measured | undefined,
  target: Target,
  index: number,
  count: number,
): number | undefined {
  if (measured === undefined || index >= count) return undefined;
  const isChild = (CHILD_KINDS as readonly string[]).includes(target);
  const seen =
    isChild && target !== 'runner'
      ? measured.seen[target as ChildKind]
      : { firstMs: 0, lastMs: measured.lengthMs };
  if (seen === undefined) return undefined;
  return Math.round(seen.firstMs + ((index + 0.5) / count) * (seen.lastMs - seen.firstMs));
}

export interface Aim {
  target: Target;
  phase: PhaseName;
  agentId: string;
  atMs: number;
}

/** Requests an operation, kills in the middle of it, starts again what was killed, and checks everything. */
export async function strike(
  context: ScenarioContext,
  options: StrikeOptions,
  { target, phase, agentId, atMs: plannedMs }: Aim,
): Promise<Strike> {
  const { request, wanted, keepsData } = PHASES[phase];
  const before = await (phase === 'revert' ? keptFor : readAgent)(context, agentId);
  const role = context.installation.host.role === 'all' ? 'all' : 'api';
  const guard = keepsData ? guardData(context, agentId) : undefined;
  const requestedAt = performance.now();
  await request(context, agentId);
  if (options.whenAtWork) await untilAtWork(context, agentId, phase);
  else await sleep(plannedMs);
  const struckAt = new Date();
  const atMs = Math.round(performance.now() - requestedAt);
  const hit = await kill(context, target, options.whenAtWork ? 60_000 : 3_000);
  const killedAt = performance.now();
  // Its workers are started where quiet is waited for.
  if (target === 'everything') await context.installation.startHost(role);
  if (target === 'worker') await context.installation.startWorker();
  const violations = await checked(context, options);
  const recoverySeconds = Math.round((performance.now() - killedAt) / 100) / 10;
  const data = (await guard?.stop()) ?? { looks: 0, violations: [] };
  violations.push(...data.violations);
  if (keepsData) violations.push(...(await checkHeld(context, { agentId, phase, before })));
  const agent = await readAgent(context, agentId);
  const operation = await lastRun(context, { agentId, phase, struckAt });
  if (agent.status !== wanted || operation?.status !== 'succeeded')
    violations.push({
      invariant: `the ${phase} comes to its end`,
      detail: `${agentId} is ${agent.status}, the operation ${operation?.status}: ${agent.error ?? operation?.error}`,
    });
  options.say(
    `${target} ${phase} at ${atMs} ms${hit ? '' : ' (not there any more)'}: attempt ${operation?.attempt}, quiet after ${recoverySeconds} s${violations.map(({ invariant, detail }) => `; VIOLATED ${invariant}: ${detail}`).join('')}`,
  );
  const { looks } = data;
  return { target, phase, atMs, hit, recoverySeconds, attempts: operation?.attempt ?? 0, looks, violations };
}

const lastRun = (
  context: ScenarioContext,
  { agentId, phase, struckAt }: { agentId: string; phase: PhaseName; struckAt: Date },
) =>
  kindOf(phase) === null ? lastDrill(context, agentId, struckAt) : lastOperation(context, agentId, phase);

const lastOperation = async (context: ScenarioContext, agentId: string, phase: PhaseName) =>
  (await readOperations(context, agentId)).findLast(({ kind }) => kind === kindOf(phase));

/** Waits until the operation's CLI runs, or until it is over: a claim may be before anything is seen. */
async function untilAtWork(context: ScenarioContext, agentId: string, phase: PhaseName): Promise<void> {
  if (kindOf(phase) === null) return;
  const isOfAgent = ({ attempt }: Child) => attempt?.startsWith(`${agentId}:`) === true;
  await until(`the ${phase} of ${agentId} is at work`, LIMIT_SECONDS, atWork, 20);

  async function atWork() {
    const operation = await lastOperation(context, agentId, phase);
    if (operation === undefined || operation.status === 'queued') return false;
    return operation.status !== 'active' || context.installation.children({ kind: 'cli' }).some(isOfAgent);
  }
}

/** Waits for quiet and checks all invariants; what does not come to rest violates one too. */
export async function checked(context: ScenarioContext, { workers }: StrikeOptions): Promise<Violation[]> {
  try {
    return await checkWhenQuiet(context, { workers, timeoutSeconds: LIMIT_SECONDS });
  } catch (error) {
    return [{ invariant: 'everything comes to rest', detail: errorMessage(error) }];
  }
}
