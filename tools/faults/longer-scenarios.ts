import { signal } from '../../src/processes/find.ts';
import { busiest, checkLeases, type WatchedLeases, watchLeases } from './leases.ts';
import {
  orderAgent,
  readAgent,
  readOperations,
  type ScenarioContext,
  untilStatus,
} from './scenario-context.ts';
import { call, conclude, type Finding, LIMIT_SECONDS, tellingErrors } from './scenario-steps.ts';
import { readServiceLog } from './service-log.ts';
import { until } from './until.ts';

export async function stallWorker(
  context: ScenarioContext,
  agentId: string,
  withChildren: boolean,
): Promise<Finding> {
  // The create hangs long enough to be stopped in the middle.
  await context.clouds.orderFault(call('POST', '/servers', { kind: 'latency', ms: 4_000 }));
  await orderAgent(context, agentId);
  const cli = await until(
    'a CLI works on the stack',
    60,
    () =>
      context.installation
        .children({ kind: 'cli' })
        .find(({ attempt }) => attempt?.startsWith(`${agentId}:`)),
    20,
  );
  await until('the server is on its way', 60, async () => (await context.clouds.faultsLeft()) === 0, 20);
  const worker = context.installation.workers.find(({ pid }) => pid === cli.worker)!;
  worker.pause();
  const below = withChildren
    ? context.installation.children({ worker: cli.worker }).map(({ pid }) => pid)
    : [];
  for (const pid of below) signal(pid, 'SIGSTOP');
  await untilStatus(context, agentId, 'running', LIMIT_SECONDS);
  const left = context.installation
    .children({ worker: cli.worker })
    .filter(({ attempt }) => attempt !== undefined);
  const before = JSON.stringify(await readAgent(context, agentId));
  for (const pid of below) signal(pid, 'SIGCONT');
  worker.resume();
  const lost = await until('the resumed worker notices that it lost the attempt', 30, () =>
    readServiceLog(context.installation).find(
      (line) => line.event === 'attempt.lost' && line.agentId === agentId,
    ),
  );
  await until('its children are gone', 30, () =>
    context.installation.children({ worker: cli.worker }).every(({ kind }) => kind === 'runner'),
  );
  const finding = await conclude(context, { workers: 2, told: [String(lost.error)], agentId });
  if (!withChildren && left.length > 0)
    finding.violations.push({
      invariant: 'a stalled worker’s children are gone before another attempt begins',
      detail: left.map(({ command }) => command).join(', '),
    });
  if (JSON.stringify(await readAgent(context, agentId)) !== before)
    finding.violations.push({ invariant: 'a worker that comes back changes nothing', detail: before });
  return finding;
}

const ORDERS = 20;

export async function orderTwenty(
  context: ScenarioContext,
  { agentId, long }: { agentId: string; long: boolean },
): Promise<Finding> {
  const ids = Array.from({ length: long ? ORDERS : 6 }, (_, index) => `${agentId}-${index + 1}`);
  const watched: WatchedLeases = watchLeases(context);
  const startedAt = Date.now();
  await Promise.all(ids.map((id) => orderAgent(context, id)));
  for (const id of ids) await untilStatus(context, id, 'running', LIMIT_SECONDS);
  const seconds = (Date.now() - startedAt) / 1000;
  const looks = await watched.stop();
  const leases = checkLeases(looks);
  const finding = await conclude(context, { workers: 2, told: [], agentId: ids[0]! });
  finding.violations.push(...leases.doubled.map((detail) => ({ invariant: 'one worker per stack', detail })));
  const shares = busiest(looks);
  if (shares.length < 2 || shares.some(({ share }) => share < 0.5))
    finding.violations.push({
      invariant: 'neither worker is idle while orders wait',
      detail: JSON.stringify(shares),
    });
  finding.figures = {
    orders: ids.length,
    seconds: Math.round(seconds),
    ...Object.fromEntries(
      shares.map(({ worker, share, attempts }, index) => [
        `worker ${index + 1}`,
        `${attempts} attempts, at work ${Math.round(share * 100)} % of the time (${worker.split(':')[1]})`,
      ]),
    ),
  };
  return finding;
}

export async function failThreeTimes(
  context: ScenarioContext,
  { agentId }: { agentId: string },
): Promise<Finding> {
  const told = tellingErrors(context, agentId);
  // Each try creates the server but never gets to configure it, so there is something to remove.
  await context.clouds.orderFault(call('POST', '/servers', { kind: 'status', status: 500 }, 1_000_000));
  await orderAgent(context, agentId);
  await untilStatus(context, agentId, 'failed', LIMIT_SECONDS);
  const failed = await conclude(context, { workers: 1, told: [], agentId });
  const [provision] = (await readOperations(context, agentId)).filter(({ kind }) => kind === 'provision');
  if (provision === undefined) throw new Error('There is no provision');
  if (provision.retry_count !== 3 || provision.failed_step !== 'creating_server' || !provision.error)
    failed.violations.push({
      invariant: 'three failed tries are the end, with reason and step',
      detail: JSON.stringify(provision),
    });
  const { status } = await context.client.ask('POST', `/api/operations/${provision.operation_id}/retry`);
  if (status !== 202)
    failed.violations.push({ invariant: 'a failed provision can be retried', detail: String(status) });
  await untilStatus(context, agentId, 'running', LIMIT_SECONDS);
  const after = await conclude(context, { workers: 1, told: await told.stop(), agentId });
  return { ...after, violations: [...failed.violations, ...after.violations] };
}
