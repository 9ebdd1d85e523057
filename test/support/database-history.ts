import { sql } from 'kysely';
import { recordSnapshot } from '../../src/agents/hibernation.ts';
import type { AgentView } from '../../src/billing/decision.ts';
import type { FollowDeps } from '../../src/billing/follow/deps.ts';
import { lookAtDue } from '../../src/billing/follow/follower.ts';
import { createLastCheck } from '../../src/billing/follow/last-check.ts';
import { recordStripeEvent } from '../../src/billing/record.ts';
import { signalIds } from '../../src/billing/subscriptions.ts';
import { runAttempt } from '../../src/executors/worker/attempt.ts';
import type { Runbooks } from '../../src/operations/attempt.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { Secret } from '../../src/secret.ts';
import { parseStripeEvent } from '../../src/stripe/event.ts';
import { Follower, type HistoryCode, policy, runHistory } from './billing-history.ts';
import { type OperationsFixture, OUTPUTS } from './operations-fixture.ts';
import type { ScriptedStripe } from './scripted-stripe.ts';
import { paidCheckout } from './stripe-events.ts';
import type { StripeModel } from './stripe-model.ts';
import { tellState, toWire, type WireState } from './stripe-wire.ts';

/** One look of the pure follower, and what it made of the agent. */
interface Look {
  at: number;
  /** As Stripe told it; undefined: Stripe did not know the subscription. */
  told: WireState | undefined;
  /** Nothing was heard: the time that the decision before had named was over. */
  isByItself: boolean;
  after: AgentView;
}

/** Follows a history and notes every look. */
class NotingFollower extends Follower {
  readonly looks: Look[] = [];
  readonly #model: StripeModel;

  constructor(model: StripeModel) {
    super(model);
    this.#model = model;
  }

  override observe(options: { unknown?: boolean } = {}): void {
    if (this.isGone) return;
    const { now } = this.#model;
    const told = options.unknown ? undefined : toWire(this.#model);
    const isByItself = this.looks.length > 0 && this.nextAt !== null && this.nextAt <= now;
    super.observe(options);
    this.looks.push({ at: now, told, isByItself, after: { ...this.agent } });
  }
}

/** Runs histories against the service's rows and its queue. */
export interface HistoryRunner {
  /**
   * Replays a history's looks: the rows must be what the pure follower, whose promises were checked on the
   * way, has made of the agent. @returns the differences, in words
   */
  run(history: HistoryCode): Promise<string[]>;
  /** How many looks and operations there were. */
  counts: { looks: number; operations: number };
}

export async function createHistoryRunner(
  operations: OperationsFixture,
  stripe: ScriptedStripe,
): Promise<HistoryRunner> {
  const { database, queue, log } = operations;
  // All histories begin at the same time, which no breaker would let pass.
  await sql`update breakers set limit_count = 1000000, limit_percent = null, limit_least = null
    where name <> 'spend'`.execute(database);
  let now = new Date(0);
  let number = 0;
  const deps: FollowDeps = {
    database,
    queue,
    log,
    clock: { now: () => now },
    stripe: stripe.account,
    policy,
    plans: { metadata: true },
    billing: 'act',
    actsOnPast: true,
    onDestroy: 'flag',
    events: 'sandbox',
  };
  const counts = { looks: 0, operations: 0 };
  const replay = async (look: Look, agentId: string, isFirst: boolean): Promise<string[]> => {
    now = new Date(look.at);
    tellState(stripe, look.told);
    if (isFirst) await buy(deps, agentId);
    else await setProtection(deps, agentId, look.after.protected);
    if (!isFirst && !look.isByItself) await signal(deps, agentId);
    counts.looks += 1;
    const isDue = await settle(deps, counts);
    const late = isDue ? [] : ['was not looked at in time'];
    return [...late, ...(await compare(deps, agentId, look.after))];
  };
  return {
    counts,
    run: async (history) => {
      number += 1;
      const agentId = `history-${number}`;
      const { looks } = runHistory(history, {
        subscriptionId: `sub_${agentId}`,
        follow: (model) => new NotingFollower(model),
      });
      // Earlier agents must not fall due by this history's clock.
      await sql`delete from subscriptions`.execute(database);
      for (const [index, look] of looks.entries()) {
        const differences = await replay(look, agentId, index === 0);
        const at = new Date(look.at).toISOString();
        if (differences.length > 0) return differences.map((difference) => `${at}: ${difference}`);
      }
      return [];
    },
  };
}

/** The order, through the door of all events. */
async function buy(deps: FollowDeps, agentId: string): Promise<void> {
  const session = { subscription: `sub_${agentId}`, customer: `cus_sub_${agentId}` };
  const event = paidCheckout({ agentId }, { session });
  await recordStripeEvent(deps, parseStripeEvent(JSON.stringify(event)), deps.events);
}

async function setProtection({ database }: FollowDeps, agentId: string, value: boolean): Promise<void> {
  await database
    .updateTable('agents')
    .set({ protected: value })
    .where('agent_id', '=', agentId)
    .where('protected', '<>', value)
    .execute();
}

async function signal({ database }: FollowDeps, agentId: string): Promise<void> {
  await database.transaction().execute((trx) => signalIds(trx, [`sub_${agentId}`]));
}

/** Looks and works until nothing is left to do. @returns whether there was anything to look at */
async function settle(deps: FollowDeps, counts: HistoryRunner['counts']): Promise<boolean> {
  let looked = 0;
  for (let round = 0; round < 30; round += 1) {
    const looks = await lookAtDue(deps);
    if (looks.some((look) => look === 'postponed')) throw new Error('Stripe could not be read');
    const worked = await work(deps);
    counts.operations += worked;
    looked += looks.length;
    if (looks.length + worked === 0) return looked > 0;
  }
  throw new Error('It does not come to rest');
}

/** Completes what is queued, as long as the queue has announced it. */
async function work(deps: FollowDeps): Promise<number> {
  const { database, queue, log } = deps;
  const attempt = {
    database,
    queue,
    log,
    runbooks: completing(deps),
    fence: noFence(new Secret('postgres://state')),
    isStillWanted: createLastCheck(deps),
    retrySeconds: 0,
  };
  for (let count = 0; ; count += 1) {
    const operation = await claimNext(database, 'w1');
    if (operation === undefined) return count;
    const { rows } = await sql`select 1 from pgboss.job
      where data->>'operationId' = ${operation.operation_id}`.execute(database);
    if (rows.length === 0) throw new Error(`${operation.kind} is not in the queue`);
    await runAttempt(attempt, operation, 'w1', new AbortController().signal);
  }
}

let servers = 0;

/** Runbooks that have succeeded when they begin. */
function completing({ database }: FollowDeps): Runbooks {
  const outputs = () => {
    servers += 1;
    const tailnetIp = `fd7a:115c:a1e0::${servers.toString(16).slice(-4)}:${Math.floor(servers / 65_536)}`;
    return { ...OUTPUTS, serverId: String(servers), tailnetIp, tailnetNodeId: `n${servers}` };
  };
  return {
    provision: async () => ({ kind: 'running', outputs: outputs() }),
    suspend: async () => ({ kind: 'suspended' }),
    resume: async () => ({ kind: 'resumed' }),
    hibernate: async ({ agent }) => {
      const snapshotId = String(900_000 + servers);
      await database.transaction().execute((trx) => recordSnapshot(trx, agent.agent_id, snapshotId));
      return { kind: 'hibernated', snapshotId };
    },
    wake: async () => ({ kind: 'woken', outputs: outputs() }),
    destroy: async () => ({ kind: 'destroyed' }),
    resize: async ({ operation }) => ({
      kind: 'resized',
      outputs: outputs(),
      plan: String(operation.parameters.plan),
    }),
  };
}

/** Compares the rows with the agent as the pure follower has it. */
async function compare({ database }: FollowDeps, agentId: string, expected: AgentView): Promise<string[]> {
  const agent = await database
    .selectFrom('agents')
    .select(['status', 'plan'])
    .where('agent_id', '=', agentId)
    .executeTakeFirstOrThrow();
  const hold = await database
    .selectFrom('holds')
    .select('since')
    .where('agent_id', '=', agentId)
    .where('reason', '=', 'payment')
    .executeTakeFirst();
  const notices = await database
    .selectFrom('notices')
    .select(['key', 'at'])
    .where('agent_id', '=', agentId)
    .where('type', 'in', ['agent.payment_failed', 'agent.will_suspend', 'agent.will_delete'])
    .execute();
  const { status } = expected;
  const told = (list: readonly { key: string; at: Date }[]) =>
    list
      .map(({ key, at }) => `${key} ${at.toISOString()}`)
      .sort()
      .join(', ');
  const differs = (what: string, is: unknown, rightful: unknown) =>
    String(is) === String(rightful) ? [] : [`${what} is ${is}, rightful is ${rightful}`];
  // A dispute stops nothing that was done: the snapshot stays.
  const isKept = status === 'suspended' && agent.status === 'hibernated';
  const isGone = status === 'destroyed';
  return [
    ...differs('the status', agent.status, isKept ? agent.status : status),
    ...(isGone ? [] : differs('the plan', agent.plan, expected.plan)),
    ...(isGone ? [] : differs('the hold', hold?.since.toISOString(), expected.suspendedAt?.toISOString())),
    ...differs('what was announced', told(notices), told(expected.announcements)),
  ];
}
