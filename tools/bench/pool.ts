import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Installation } from './installation.ts';
import { quantile } from './statistics.ts';
import { paidSession, type SignedEvent, signEvent } from './stripe-events.ts';

export interface PoolResult {
  slots: number;
  /** Orders within one second: one more than there are slots. */
  orders: number;
  /** Orders that ran on a slot, and orders that got a new server. */
  hits: number;
  misses: number;
  /** From posting the signed event until `running` was committed, of the hits. */
  milliseconds: { median: number; p99: number; max: number };
  /** Servers at Hetzner that belong to these orders, and slots with two owners. */
  servers: number;
  doubled: number;
}

const LIMIT_SECONDS = 600;
const SECOND_MS = 1_000;

/** Fills a pool, orders one agent more than it has slots within a second, and waits until all run. */
export async function measurePool(
  { service, watch }: Pick<Installation, 'service' | 'watch'>,
  { slots, tell }: { slots: number; tell: (line: string) => void },
): Promise<PoolResult> {
  tell(`waiting for ${slots} slots`);
  await until(watch, "select count(*)::int as count from slots where status = 'ready'", slots);
  const orders = slots + 1;
  const secret = service.sandbox.stripeWebhookSecret;
  const ids = Array.from({ length: orders }, (_, index) => `pool-${Date.now().toString(36)}-${index}`);
  const events = ids.map((agentId) =>
    signEvent(paidSession({ agentId, userId: 'bench', region: 'eu-west', plan: 'starter' }), secret),
  );
  tell(`${orders} orders within a second`);
  const posted = await postWithin(service.url, events);
  await until(
    watch,
    `select count(*)::int as count from agents where status = 'running' and agent_id = any($1)`,
    orders,
    [ids],
  );
  const rows = await watch.rows<{ agentId: string; finishedAt: Date; warm: boolean; serverId: string }>(
    `select o.agent_id as "agentId", o.finished_at as "finishedAt", a.server_id as "serverId",
       exists (select 1 from slots s where s.served_by = o.operation_id) as warm
     from operations o join agents a using (agent_id) where o.kind = 'provision' and o.agent_id = any($1)`,
    [ids],
  );
  const warm = rows.filter((row) => row.warm);
  const ms = warm.map(({ agentId, finishedAt }) => finishedAt.getTime() - posted[ids.indexOf(agentId)]!);
  return {
    slots,
    orders,
    hits: warm.length,
    misses: rows.length - warm.length,
    milliseconds: { median: quantile(ms, 0.5), p99: quantile(ms, 0.99), max: quantile(ms, 1) },
    servers: new Set(rows.map(({ serverId }) => serverId)).size,
    doubled: rows.length - new Set(rows.map(({ serverId }) => serverId)).size,
  };
}

/** Posts the events evenly within a second. @returns when each was posted */
async function postWithin(url: string, events: readonly SignedEvent[]): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const start = Date.now() + 100;
  const posted = await Promise.all(
    events.map(async (event, index) => {
      await sleep(Math.max(0, start + (index * SECOND_MS) / events.length - Date.now()));
      const at = Date.now();
      await post(agent, url, event);
      return at;
    }),
  );
  agent.destroy();
  return posted;
}

function post(agent: Agent, url: string, { body, signature }: SignedEvent): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'stripe-signature': signature,
    };
    const outgoing = request(`${url}/api/webhooks/stripe`, { agent, method: 'POST', headers }, (response) => {
      response.resume();
      response.once('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode}`)),
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

async function until(
  watch: Installation['watch'],
  statement: string,
  count: number,
  values: unknown[] = [],
): Promise<void> {
  const deadline = Date.now() + LIMIT_SECONDS * 1000;
  for (;;) {
    const [row] = await watch.rows<{ count: number }>(statement, values);
    if (row!.count >= count) return;
    if (Date.now() > deadline) throw new Error(`Only ${row!.count} of ${count} after ${LIMIT_SECONDS} s`);
    await sleep(200);
  }
}
