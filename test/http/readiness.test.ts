import { afterAll, beforeAll, expect, test } from 'vitest';
import { registerWorker } from '../../src/executors/worker/workers.ts';
import { recordChecks } from '../../src/reconcile/checks/store.ts';
import { startService, type TestService } from '../support/http-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** Inserts the result of a worker's only check. */
const registered = async (checks: { name: string; ok: boolean; blocks: boolean }[]) => {
  await service.database.deleteFrom('workers').execute();
  await registerWorker(service.database, { workerId: 'w1', concurrency: 1 });
  const found = { detail: 'sk_live_secret is refused', cure: 'mend it' };
  await recordChecks(
    service.database,
    'w1',
    checks.map((check) => ({ ...found, ...check })),
  );
};
/** Returns both answers, which must agree. */
const both = async () => {
  const [open, verbose] = [await service.ask('/readyz'), await service.ask('/readyz?verbose=1')];
  expect(verbose.status).toBe(open.status);
  const { checks } = (await verbose.json()) as { checks: { name: string; ok: boolean }[] };
  const answer = (await open.json()) as { status: unknown; checks: Record<string, string> };
  expect(Object.keys(answer.checks)).toEqual(checks.map(({ name }) => name));
  for (const { name, ok } of checks) expect(answer.checks[name] === 'ok').toBe(ok);
  expect(JSON.stringify(answer)).not.toContain('sk_live_secret');
  return answer;
};

test('with and without details say the same of a check, even if no operation waits for it', async () => {
  await registered([
    { name: 'hetzner', ok: true, blocks: false },
    { name: 'stripe', ok: false, blocks: false },
  ]);
  expect(await both()).toMatchObject({
    status: 'ready',
    checks: { hetzner: 'ok', stripe: 'needs attention' },
  });
  await registered([
    { name: 'hetzner', ok: false, blocks: true },
    { name: 'stripe', ok: false, blocks: false },
  ]);
  expect(await both()).toMatchObject({
    status: 503,
    detail: 'hetzner: needs attention',
    checks: { hetzner: 'needs attention', stripe: 'needs attention' },
  });
});
