import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createVault } from '../../src/agents/secrets.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { openStateStore } from '../../src/pulumi/open-state.ts';
import { Secret } from '../../src/secret.ts';
import { orderAgent, type ScenarioContext, untilStatus } from './scenario-context.ts';
import { conclude, type Finding, LIMIT_SECONDS } from './scenario-steps.ts';
import { withClient } from './snapshot.ts';
import { until } from './until.ts';
import type { Violation } from './violation.ts';

const DONE_SECONDS = 120;
/** A round of the change takes about this long. */
const LONGEST_MS = 6_000;

/**
 * Changes the passphrase while agents are made. Everything is killed several times in the middle of it, and
 * one worker keeps the former passphrase at first.
 */
export async function changePassphrase(
  context: ScenarioContext,
  { agentId, long }: { agentId: string; long: boolean },
): Promise<Finding> {
  const { installation } = context;
  const former = installation.file.pulumiPassphrase;
  const present = randomBytes(24).toString('hex');
  const ids = ['1', '2', '3'].map((name) => `${agentId}-${name}`);
  for (const id of ids.slice(0, 2)) await orderAgent(context, id);
  for (const id of ids.slice(0, 2)) await untilStatus(context, id, 'running', LIMIT_SECONDS);
  await orderAgent(context, ids[2]!);
  installation.change({ PULUMI_CONFIG_PASSPHRASE: present, PULUMI_CONFIG_PASSPHRASE_BEFORE: former });
  // In order, so that the change does not wait for a process that is gone.
  await installation.host.stop();
  await installation.startHost('api');
  // The worker of before has the former passphrase only.
  const waiting = await untilState(context, ['waiting']);
  for (const worker of installation.workers) await worker.stop();
  const kills = long ? 12 : 3;
  const states: string[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    const id = `${agentId}-during-${kill}`;
    ids.push(id);
    await installation.startWorker();
    void orderAgent(context, id).catch(() => {});
    await sleep((LONGEST_MS * (kill + 0.5)) / kills);
    states.push(await readState(context));
    await installation.killEverything();
    await installation.startHost('api');
  }
  await installation.startWorker();
  await until('every order is answered', 60, async () => (await context.client.redeliver()) === 0);
  await untilState(context, ['done']);
  for (const id of ids) await untilStatus(context, id, 'running', LIMIT_SECONDS);
  for (const worker of installation.workers) await worker.stop();
  installation.change({ PULUMI_CONFIG_PASSPHRASE_BEFORE: '' });
  await installation.restartHost();
  await installation.startWorker();
  const finding = await conclude(context, { workers: 1, told: waiting, agentId: ids[0]! });
  finding.violations.push(...(await checkKeys(context, { present, former })));
  finding.violations.push(...(await checkPreviews(context, ids)));
  finding.figures = { ...finding.figures, agents: ids.length, kills, 'killed while': states.join(', ') };
  return finding;
}

/** How far the change is just before a kill; the service may still be starting. */
async function readState({ client }: ScenarioContext): Promise<string> {
  const { body } = await client.ask('GET', '/api/rekey');
  const { state, left } = (body ?? {}) as { state?: string; left?: Record<string, number | null> };
  if (state !== 'moving') return state ?? 'unknown';
  return `moving ${left?.agents} keys, ${left?.stacks ?? '?'} stacks`;
}

/** @returns whom the change waits for */
async function untilState(context: ScenarioContext, wanted: readonly string[]): Promise<string[]> {
  return until(
    `the change of the passphrase is ${wanted.join(' or ')}`,
    DONE_SECONDS,
    async () => {
      const { body } = await context.client.ask('GET', '/api/rekey');
      const { state, waitsFor } = body as { state: string; waitsFor: string[] };
      if (!wanted.includes(state)) throw new Error(JSON.stringify(body));
      return waitsFor;
    },
    100,
  );
}

/** The new passphrase opens everything, and the former one nothing. */
async function checkKeys(
  { installation }: ScenarioContext,
  passphrases: { present: string; former: string },
): Promise<Violation[]> {
  const [present, former] = [passphrases.present, passphrases.former].map(
    (text) => new Keyring(new Secret(text)),
  ) as [Keyring, Keyring];
  const rows = await withClient(installation.file.databaseUrl, async (client) => {
    const found = await client.query<{ id: string; secrets: Buffer }>(
      'select agent_id as id, secrets from agents where secrets is not null',
    );
    return found.rows;
  });
  const opens = (keyring: Keyring, { id, secrets }: { id: string; secrets: Buffer }) =>
    createVault(keyring).canOpen(id, secrets);
  const unreadable = rows.filter((row) => !opens(present, row)).map(({ id }) => id);
  const open = rows.filter((row) => opens(former, row)).map(({ id }) => id);
  const { passphrases: states, pool } = openStateStore(new Secret(installation.file.pulumiBackendUrl));
  const stacks = await states!.listUnder(former.current);
  await pool!.end();
  return [
    ...unreadable.map((detail) => ({ invariant: 'the new passphrase opens every agent’s keys', detail })),
    ...[...open, ...stacks].map((detail) => ({ invariant: 'the former passphrase opens nothing', detail })),
  ];
}

async function checkPreviews(
  { installation }: ScenarioContext,
  ids: readonly string[],
): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const id of ids) {
    const { code, output } = await installation.preview(id);
    if (code !== 0)
      violations.push({ invariant: 'a preview with the new passphrase is clean', detail: output });
  }
  return violations;
}
