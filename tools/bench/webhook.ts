import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentWatch } from './agent-watch.ts';
import type { ServiceProcess } from './service-process.ts';
import { quantile } from './statistics.ts';
import { customerUpdated, paidSession, type SignedEvent, signEvent } from './stripe-events.ts';

export interface WebhookResult {
  eventsPerSecond: number;
  seconds: number;
  sent: number;
  /** Answers other than 200, and broken connections. */
  errors: number;
  /** Distinct events among those sent, and how many of them are in the database afterwards. */
  distinct: number;
  stored: number;
  milliseconds: { median: number; p95: number; p99: number; max: number };
  /** The largest delay of the load generator itself, which is part of every figure above. */
  generatorLagMs: number;
}

const EVENTS_PER_SECOND = 200;
const SECONDS = 20;

/**
 * Sends at fixed moments, whether or not earlier events are answered, and measures from the planned moment.
 * So a stall of the service counts against everything due meanwhile.
 */
export async function measureWebhook(
  service: ServiceProcess,
  watch: AgentWatch,
  tell: (line: string) => void,
): Promise<WebhookResult> {
  const storedBefore = await countEvents(watch);
  const { events, distinct } = prepareEvents(service.sandbox.stripeWebhookSecret);
  tell(`sending ${events.length} signed events in ${SECONDS} s to a process with --role api`);
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const start = performance.now() + 100;
  let generatorLagMs = 0;
  const answers: Promise<Answer>[] = [];
  for (const [index, event] of events.entries()) {
    const plannedAt = start + (index * 1000) / EVENTS_PER_SECOND;
    const aheadMs = plannedAt - performance.now();
    if (aheadMs > 0) await sleep(aheadMs);
    generatorLagMs = Math.max(generatorLagMs, performance.now() - plannedAt);
    answers.push(send(agent, service.url, event, plannedAt));
  }
  const answered = await Promise.all(answers);
  agent.destroy();
  const milliseconds = answered.map((answer) => answer.milliseconds);
  return {
    eventsPerSecond: EVENTS_PER_SECOND,
    seconds: SECONDS,
    sent: events.length,
    errors: answered.filter(({ status }) => status !== 200).length,
    distinct,
    stored: (await countEvents(watch)) - storedBefore,
    milliseconds: {
      median: quantile(milliseconds, 0.5),
      p95: quantile(milliseconds, 0.95),
      p99: quantile(milliseconds, 0.99),
      max: quantile(milliseconds, 1),
    },
    generatorLagMs,
  };
}

/**
 * Half are of an ignored type, a quarter are paid sessions whose orders need attention (unknown region, so no
 * agent is created), a quarter repeat earlier events.
 */
function prepareEvents(secret: string): { events: SignedEvent[]; distinct: number } {
  const events: SignedEvent[] = [];
  let distinct = 0;
  for (let index = 0; index < EVENTS_PER_SECOND * SECONDS; index += 1) {
    if (index % 4 === 3) {
      events.push(events[index - 2]!);
      continue;
    }
    distinct += 1;
    const event =
      index % 4 === 1
        ? paidSession({ agentId: `bench-${index}`, userId: 'bench', region: 'nowhere' })
        : customerUpdated();
    events.push(signEvent(event, secret));
  }
  return { events, distinct };
}

async function countEvents(watch: AgentWatch): Promise<number> {
  const rows = await watch.rows<{ count: number }>('select count(*)::int as count from stripe_events');
  return rows[0]!.count;
}

interface Answer {
  status: number;
  milliseconds: number;
}

function send(
  agent: Agent,
  url: string,
  { body, signature }: SignedEvent,
  plannedAt: number,
): Promise<Answer> {
  return new Promise((resolve) => {
    const settle = (status: number) => resolve({ status, milliseconds: performance.now() - plannedAt });
    const outgoing = request(
      `${url}/api/webhooks/stripe`,
      {
        agent,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'stripe-signature': signature,
        },
      },
      (response) => {
        response.resume();
        response.once('end', () => settle(response.statusCode ?? 0));
        response.once('error', () => settle(0));
      },
    );
    outgoing.once('error', () => settle(0));
    outgoing.end(body);
  });
}
