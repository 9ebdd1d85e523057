import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runToEnd } from '../support/commands.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

/**
 * `SCHEMATHESIS_EXAMPLES=100 npm test -- test/http/schemathesis.test.ts`: more than 5,000 calls, in all
 * phases.
 */
const EXAMPLES = process.env.SCHEMATHESIS_EXAMPLES ?? '5';
const PHASES =
  process.env.SCHEMATHESIS_EXAMPLES === undefined ? 'fuzzing' : 'examples,coverage,fuzzing,stateful';
const SEED = process.env.SCHEMATHESIS_SEED ?? '20261130';
const program = process.env.AGENT_STACKS_SCHEMATHESIS || undefined;

/**
 * The feed of all events never ends; other tests read it. An operation's events are read as they are, since
 * here none ever finishes.
 */
const CONFIGURATION = `
[[operations]]
include-operation-id = "feed"
enabled = false

[[operations]]
include-operation-id = "operationEvents"
parameters = { "query.follow" = "false" }
# Any client may send further headers.
generation = { mode = "positive" }

[[operations]]
include-path-regex = "^/api/agents/.agentId.(?!/destroy)"
parameters = { "path.agentId" = "agent-7" }
`;

/**
 * Checks that do not fit this API. `ignored_auth` sends so many wrong tokens that the address is blocked;
 * authentication.test.ts has its cases. What `positive_data_acceptance` takes for valid is so only to a
 * schema: cursors, keys and signatures are made by the service or with a secret.
 */
const EXCLUDED = ['ignored_auth', 'positive_data_acceptance'];

let service: TestService;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'schemathesis-'));
  service = await startService();
  const created = await service.ask('/api/agents', {
    json: { agentId: 'agent-7', userId: 'u', region: 'eu-central' },
  });
  const { operationId } = (await created.json()) as { operationId: string };
  await finishProvision(service.database, { agentId: 'agent-7', operationId });
  await deliver(service.url, paidCheckout({ region: 'moon' }));
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true });
});

test.skipIf(program === undefined)(
  'schemathesis finds no 5xx and no answer that the document lacks',
  { timeout: 120_000 + Number(EXAMPLES) * 20_000 },
  async () => {
    await writeFile(join(folder, 'schemathesis.toml'), CONFIGURATION);
    const { code, stdout, stderr } = await runToEnd(
      program!,
      [
        ...['--config-file', join(folder, 'schemathesis.toml')],
        ...['run', `${service.url}/openapi.json`, '--header', `Authorization: Bearer ${API_TOKEN}`],
        ...['--checks', 'all', '--exclude-checks', EXCLUDED.join(','), '--continue-on-failure'],
        ...['--phases', PHASES, '--max-examples', EXAMPLES, '--seed', SEED, '--request-timeout', '30'],
        ...['--report', 'ndjson', '--report-ndjson-path', join(folder, 'calls.ndjson')],
      ],
      { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, NO_COLOR: '1' } },
    );
    expect(code, `${stdout.slice(-20_000)}\n${stderr}`).toBe(0);
    const calls = (await readFile(join(folder, 'calls.ndjson'), 'utf8')).match(/"status_code"/g)?.length ?? 0;
    console.log(`schemathesis, seed ${SEED}: ${calls} calls`);
    expect(calls).toBeGreaterThan(100);
  },
);
