import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buyAtCheckout } from '../checkout.ts';
import { serverOwner } from './belongings.ts';
import {
  changeHold,
  createContext,
  destroyAgent,
  type ScenarioContext,
  untilStatus,
  untilStep,
} from './scenario-context.ts';
import { conclude, type Finding, LIMIT_SECONDS } from './scenario-steps.ts';

import { withClient } from './snapshot.ts';
import { until } from './until.ts';
import type { Violation } from './violation.ts';

/** An installation of its own, which knows where to put backups. */
export function openWithBackups(tools: Record<string, string>): Promise<ScenarioContext> {
  const folder = realpathSync(mkdtempSync(join(tools.TMPDIR ?? tmpdir(), 'agent-stacks-faults-backups-')));
  // No schedule: only the backup that is asked for counts.
  return createContext(tools, { environment: { BACKUP_TO: folder, BACKUP_EVERY: '30d' } });
}

/** A restore and a rebuild with its imports take about so long. */
const RESTORE_MS = 4_000;
const REBUILD_MS = 12_000;
/** A restore refuses a database in which a process was heard of as late as that. */
const FORGOTTEN_MS = 15_000;

/**
 * A backup is made in the middle of work. Then much happens, everything is killed in the middle of other
 * work, and the backup is restored: what happened since is known only to the clouds.
 */
export async function restoreBackup(
  context: ScenarioContext,
  { agentId, long }: { agentId: string; long: boolean },
): Promise<Finding> {
  const id = (name: string) => `${agentId}-${name}`;
  const before = ['kept', 'left', 'held', 'leaving', 'stays'].map(id);
  for (const one of before) await buy(context, one);
  for (const one of before) await untilStatus(context, one, 'running', LIMIT_SECONDS);
  await buy(context, id('begun'));
  await destroyAgent(context, id('leaving'));
  await untilStep(context, id('begun'), 'creating_server', 60);
  const location = await backUp(context);
  await untilStatus(context, id('begun'), 'running', LIMIT_SECONDS);
  await untilStatus(context, id('leaving'), 'destroyed', LIMIT_SECONDS);
  await buy(context, id('since'));
  await untilStatus(context, id('since'), 'running', LIMIT_SECONDS);
  await destroyAgent(context, id('left'));
  await untilStatus(context, id('left'), 'destroyed', LIMIT_SECONDS);
  await changeHold('hold')(context, id('held'));
  await untilStatus(context, id('held'), 'suspended', LIMIT_SECONDS);
  await untilRecorded(context, id('held'));
  const settled = await serverIds(context);
  await buy(context, id('cut'));
  await until('the last server is made', 60, async () => (await serverIds(context)).has(id('cut')), 20);
  await context.installation.killEverything();
  const kills = long ? 6 : 2;
  await comeBack(context, location, kills);
  context.recovered = true;
  const running = ['kept', 'stays', 'begun', 'since', 'cut'].map(id);
  for (const one of running) await untilStatus(context, one, 'running', LIMIT_SECONDS);
  await untilStatus(context, id('held'), 'suspended', LIMIT_SECONDS);
  for (const one of ['left', 'leaving']) await untilStatus(context, id(one), 'destroyed', LIMIT_SECONDS);
  const finding = await conclude(context, { workers: 1, told: [], agentId: id('kept') });
  finding.violations.push(...(await compareServers(context, settled)));
  finding.violations.push(...(await checkPreviews(context, running)));
  finding.figures = { ...finding.figures, agents: context.orders.length, kills };
  return finding;
}

/** Stripe knows the order and its subscription. */
async function buy({ installation, orders }: ScenarioContext, agentId: string): Promise<void> {
  const order = { agentId, userId: 'faults', region: 'eu-central' };
  const sessionId = await buyAtCheckout(installation.file.stripeApiUrl, order);
  orders.push({ ...order, sessionId, subscriptionId: '' });
}

/** What the last seconds before a loss have changed may be lost: here, that the agent is held. */
function untilRecorded({ installation }: ScenarioContext, agentId: string): Promise<unknown> {
  return until(`the record of ${agentId} is kept`, 60, () =>
    withClient(installation.file.databaseUrl, async (client) => {
      const kept = await client.query(
        `select from cloud_records r join agents a on a.agent_id = r.owner_id
         where a.agent_id = $1 and r.seen >= a.updated_at`,
        [agentId],
      );
      return kept.rowCount === 1;
    }),
  );
}

async function backUp({ client }: ScenarioContext): Promise<string> {
  const { status, body } = await client.ask('POST', '/api/backups');
  if (status !== 200) throw new Error(`The backup: ${status} ${JSON.stringify(body)}`);
  return body.location as string;
}

/** Restores the backup and rebuilds what it lacks. Both are killed now and then, and begun again. */
async function comeBack(context: ScenarioContext, location: string, kills: number): Promise<void> {
  const { installation, client } = context;
  const restore = ['restore', location, '--force', '--yes'];
  // Then it is the loading that is killed.
  await sleep(FORGOTTEN_MS);
  for (let kill = 0; kill < kills; kill += 1) {
    const over = AbortSignal.timeout(Math.round((RESTORE_MS * (kill + 0.5)) / kills));
    await installation.command(restore, over);
    await installation.killPostgres();
  }
  await untilRestored(context, restore);
  for (let kill = 0; kill <= kills; kill += 1) {
    const begun = new Date();
    await installation.startHost('api');
    await installation.startWorker();
    // It must leave the records alone that the rebuild is about to read.
    if (kill === kills) await untilSwept(context, begun);
    const rebuilt = client.ask('POST', '/api/rebuild-state', { apply: true });
    if (kill === kills) {
      const { status, body } = await rebuilt;
      if (status !== 200) throw new Error(`The rebuild: ${status} ${JSON.stringify(body)}`);
      return;
    }
    await sleep((REBUILD_MS * (kill + 0.5)) / kills);
    await installation.killEverything();
  }
}

function untilSwept({ installation }: ScenarioContext, since: Date): Promise<unknown> {
  return until('a sweep has ended', 60, () =>
    withClient(installation.file.databaseUrl, async (client) => {
      const { rowCount } = await client.query(
        'select from sweeps where started_at >= $1 and finished_at is not null',
        [since],
      );
      return (rowCount ?? 0) > 0;
    }),
  );
}

/** A process that was killed may still run, for all that the database knows. */
function untilRestored({ installation }: ScenarioContext, restore: readonly string[]): Promise<unknown> {
  return until('the backup is restored', 90, async () => {
    const { code, output } = await installation.command(restore);
    if (code !== 0) throw new Error(output);
    return true;
  });
}

/** Each owner's server. */
async function serverIds({ clouds }: ScenarioContext): Promise<Map<string, number>> {
  return new Map((await clouds.servers()).map((server) => [serverOwner(server), server.id]));
}

/** Every server from before the loss is there, and is the same one. */
async function compareServers(
  context: ScenarioContext,
  before: ReadonlyMap<string, number>,
): Promise<Violation[]> {
  const now = await serverIds(context);
  return [...before]
    .filter(([owner, id]) => now.get(owner) !== id)
    .map(([owner, id]) => ({
      invariant: 'no server is made or deleted for a restore',
      detail: `${owner} had ${id} and has ${now.get(owner) ?? 'none'}`,
    }));
}

async function checkPreviews(
  { installation }: ScenarioContext,
  ids: readonly string[],
): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const agentId of ids) {
    const { code, output } = await installation.preview(agentId);
    if (code !== 0) violations.push({ invariant: 'a preview after a restore is clean', detail: output });
  }
  return violations;
}
