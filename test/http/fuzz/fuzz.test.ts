import { Agent } from 'node:http';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { agentOutputsSchema } from '../../../src/agents/outputs.ts';
import { type FuzzFixture, openFuzzFixture } from './fixture.ts';
import { chooseRoute, type Plan, plan, type Sent, send, toRequest } from './requests.ts';

/**
 * `FUZZ_REQUESTS=100000 FUZZ_SEED=7 npx vitest run test/http/fuzz`: any number of requests, repeatable by
 * seed.
 */
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 1_500);
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_129);
/** One at a time, so that a seed reproduces the same state, or several at once for speed and races. */
const AT_ONCE = Number(process.env.FUZZ_AT_ONCE ?? 1);
/** Often enough that most operations are executed. */
const DISPATCH_EVERY = 15;

let fixture: FuzzFixture;
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
beforeAll(async () => {
  fixture = await openFuzzFixture();
});
afterAll(async () => {
  agent.destroy();
  await fixture.close();
});

it(`${REQUESTS} requests to every route: no 5xx, no row that the tables forbid (seed ${SEED})`, {
  timeout: 120_000 + REQUESTS * 60,
}, async () => {
  const seen = new Map<string, number>();
  let sent = 0;
  const one = async (random: Plan) => {
    // The first requests go through all routes, so that none is left out by chance.
    const wanted = sent < fixture.routes.length ? { ...random, route: 2 * sent + 1 } : random;
    if (sent++ % DISPATCH_EVERY === 0) await fixture.dispatch();
    if (sent % 10_000 === 0) console.log(`seed ${SEED}: ${sent} sent`);
    const request = toRequest(fixture, wanted);
    const { logged } = fixture.service;
    const status = await send(fixture.service.url, request, agent).catch((error: unknown) => {
      throw new Error(tell(request, String(error), logged.slice(-5)));
    });
    count(seen, wanted, status);
    if (status >= 500 || status < 200) throw new Error(tell(request, status, logged.slice(-5)));
    // The log is only read after a failure.
    if (logged.length > 100) logged.splice(0, 50);
  };
  const batch = fc.array(plan, { minLength: AT_ONCE, maxLength: AT_ONCE });
  const property = fc.asyncProperty(batch, async (wanted) => void (await Promise.all(wanted.map(one))));
  // Without shrinking: a request's result depends on those before it, and the seed reproduces them all.
  await fc.assert(property, { numRuns: Math.ceil(REQUESTS / AT_ONCE), seed: SEED, endOnFailure: true });
  console.log(`seed ${SEED}, ${sent} requests: ${summary(seen)}`);
  expect(untouched(seen)).toEqual([]);
  await expectSoundRows();
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

it('the same seed makes the same requests', () => {
  const sample = (seed: number) =>
    fc.sample(plan, { seed, numRuns: 200 }).map((one) => toRequest(fixture, one));
  const timeless = (requests: Sent[]) => JSON.stringify(requests).replace(/t=\d+,v1=[0-9a-f]+/g, 'signed');
  expect(timeless(sample(SEED))).toBe(timeless(sample(SEED)));
  expect(timeless(sample(SEED))).not.toBe(timeless(sample(SEED + 1)));
});

function count(seen: Map<string, number>, wanted: Plan, status: number): void {
  const { method, path } = chooseRoute(fixture, wanted);
  for (const key of [`${method} ${path}`, String(status)]) seen.set(key, (seen.get(key) ?? 0) + 1);
}

function tell({ method, path, headers, body = '' }: Sent, status: number | string, logged: object[]): string {
  const what = `${method} ${path.slice(0, 300)} ${JSON.stringify(headers).slice(0, 600)}\n${body.slice(0, 2_000)}`;
  return `seed ${SEED}: ${status} to\n${what}\n${JSON.stringify(logged).slice(0, 3_000)}`;
}

const summary = (seen: Map<string, number>) =>
  [...seen]
    .filter(([key]) => /^\d/.test(key))
    .sort()
    .map(([status, times]) => `${times} × ${status}`)
    .join(', ');

const untouched = (seen: Map<string, number>) =>
  fixture.routes.map(({ method, path }) => `${method} ${path}`).filter((route) => !seen.has(route));

/** Invariants of the rows, whatever was sent. */
async function expectSoundRows(): Promise<void> {
  const { database } = fixture.service;
  const { rows: wrong } = await sql`
    select o.operation_id, o.kind, o.status, o.attempt, o.retry_count, a.status as agent
    from operations o join agents a using (agent_id)
    where (o.kind = 'provision' and o.status = 'active' and a.status not in ('provisioning', 'destroying'))
      or o.retry_count > o.attempt
      or (o.status = 'active' and o.executor <> 'github-actions')`.execute(database);
  expect(wrong).toEqual([]);
  const { rows: unchecked } = await sql`
    select conname from pg_constraint where not convalidated`.execute(database);
  expect(unchecked).toEqual([]);
  const agents = await database.selectFrom('agents').selectAll().where('status', '=', 'running').execute();
  for (const row of agents)
    agentOutputsSchema.parse({
      serverId: row.server_id,
      serverName: row.server_name,
      ipv4: row.ipv4,
      ipv6: row.ipv6,
      tailnetIp: row.tailnet_ip,
      tailnetName: row.tailnet_name,
    });
  expect(agents.length).toBeGreaterThan(0);
}
