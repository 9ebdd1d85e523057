import { signal } from '../../src/processes/find.ts';
import { orderAgent, readAgent, readOperations, type Stage, untilStatus } from './agent-run.ts';
import { busiest, leasesOf, type WatchedLeases, watchLeases } from './leases.ts';
import { call, conclude, type Finding, LIMIT_SECONDS, tellingErrors } from './scenario-steps.ts';
import { readServiceLog } from './service-log.ts';
import { until } from './until.ts';

export async function playStall(stage: Stage, agentId: string, withChildren: boolean): Promise<Finding> {
  // The create hangs long enough to be caught in the middle.
  await stage.clouds.orderFault(call('POST', '/servers', { kind: 'latency', ms: 4_000 }));
  await orderAgent(stage, agentId);
  const cli = await until(
    'a CLI works on the stack',
    60,
    () =>
      stage.installation.children({ kind: 'cli' }).find(({ attempt }) => attempt?.startsWith(`${agentId}:`)),
    20,
  );
  await until('the server is on its way', 60, async () => (await stage.clouds.faultsLeft()) === 0, 20);
  const worker = stage.installation.workers.find(({ pid }) => pid === cli.worker)!;
  worker.pause();
  const below = withChildren ? stage.installation.children({ worker: cli.worker }).map(({ pid }) => pid) : [];
  for (const pid of below) signal(pid, 'SIGSTOP');
  await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
  const left = stage.installation
    .children({ worker: cli.worker })
    .filter(({ attempt }) => attempt !== undefined);
  const before = JSON.stringify(await readAgent(stage, agentId));
  for (const pid of below) signal(pid, 'SIGCONT');
  worker.resume();
  const lost = await until('the continued worker hears that it has lost the attempt', 30, () =>
    readServiceLog(stage.installation).find(
      (line) => line.event === 'attempt.lost' && line.agentId === agentId,
    ),
  );
  await until('its children are gone', 30, () =>
    stage.installation.children({ worker: cli.worker }).every(({ kind }) => kind === 'runner'),
  );
  const finding = await conclude(stage, { workers: 2, told: [String(lost.error)], agentId });
  if (!withChildren && left.length > 0)
    finding.violations.push({
      invariant: 'a stalled worker’s children are gone before another attempt begins',
      detail: left.map(({ command }) => command).join(', '),
    });
  if (JSON.stringify(await readAgent(stage, agentId)) !== before)
    finding.violations.push({ invariant: 'a worker that comes back changes nothing', detail: before });
  return finding;
}

const ORDERS = 20;

export async function playTwentyOrders(
  stage: Stage,
  { agentId, long }: { agentId: string; long: boolean },
): Promise<Finding> {
  const ids = Array.from({ length: long ? ORDERS : 6 }, (_, index) => `${agentId}-${index + 1}`);
  const watched: WatchedLeases = watchLeases(stage);
  const startedAt = Date.now();
  await Promise.all(ids.map((id) => orderAgent(stage, id)));
  for (const id of ids) await untilStatus(stage, id, 'running', LIMIT_SECONDS);
  const seconds = (Date.now() - startedAt) / 1000;
  const looks = await watched.stop();
  const leases = leasesOf(looks);
  const finding = await conclude(stage, { workers: 2, told: [], agentId: ids[0]! });
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

export async function playThreeFailures(stage: Stage, { agentId }: { agentId: string }): Promise<Finding> {
  const told = tellingErrors(stage, agentId);
  // The server is made each time and its configuration never begins: there is something to take away.
  await stage.clouds.orderFault(call('POST', '/servers', { kind: 'status', status: 500 }, 1_000_000));
  await orderAgent(stage, agentId);
  await untilStatus(stage, agentId, 'failed', LIMIT_SECONDS);
  const failed = await conclude(stage, { workers: 1, told: [], agentId });
  const [provision] = (await readOperations(stage, agentId)).filter(({ kind }) => kind === 'provision');
  if (provision === undefined) throw new Error('There is no provision');
  if (provision.retry_count !== 3 || provision.failed_step !== 'creating_server' || !provision.error)
    failed.violations.push({
      invariant: 'three failed tries are the end, with reason and step',
      detail: JSON.stringify(provision),
    });
  const { status } = await stage.client.ask('POST', `/api/operations/${provision.operation_id}/retry`);
  if (status !== 202)
    failed.violations.push({ invariant: 'a failed provision can be retried', detail: String(status) });
  await untilStatus(stage, agentId, 'running', LIMIT_SECONDS);
  const after = await conclude(stage, { workers: 1, told: await told.stop(), agentId });
  return { ...after, violations: [...failed.violations, ...after.violations] };
}
