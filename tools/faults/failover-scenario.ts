import { poolEnvironment } from './installation.ts';
import { ReplicatedPostgres } from './replicated-postgres.ts';
import {
  beginClaim,
  createContext,
  destroyAgent,
  orderAgent,
  readOperations,
  type ScenarioContext,
  untilStatus,
  untilStep,
} from './scenario-context.ts';
import { conclude, type Finding, LIMIT_SECONDS } from './scenario-steps.ts';
import { until } from './until.ts';

/** An installation of its own, on a Postgres with a synchronous standby, with a server that waits. */
export async function openReplicated(tools: Record<string, string>): Promise<ScenarioContext> {
  const postgres = await ReplicatedPostgres.start();
  try {
    return await createContext(tools, { environment: poolEnvironment(1), postgres });
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** Longer than the service waits for any answer of its database. */
const SILENT_MS = 60_000;

/**
 * In which step of a provision it fails over, the name of its agent, and how long the old primary is silent.
 */
type Moment = readonly [step: string, name: string, silentMs: number];
const SHORT: readonly Moment[] = [['configuring', 'configuring', 0]];
const LONG: readonly Moment[] = [
  ['creating_server', 'creating', 0],
  ['joining_network', 'joining', 0],
  ['configuring', 'configuring', 0],
  ['verifying', 'verifying', 0],
  ['creating_server', 'silent', SILENT_MS],
];

/** The database fails over in the middle of provisions, of a claim and of a destroy. */
export async function failOverOften(
  context: ScenarioContext,
  { agentId, long }: { agentId: string; long: boolean },
): Promise<Finding> {
  const postgres = context.postgres;
  if (postgres === undefined) throw new Error('This installation has no standby');
  const outages: number[] = [];
  const ids = (long ? LONG : SHORT).map(([, name]) => `${agentId}-${name}`);
  for (const [index, [step, , silentMs]] of (long ? LONG : SHORT).entries()) {
    const id = ids[index]!;
    await orderAgent(context, id);
    await untilStep(context, id, step, 60);
    outages.push(await postgres.failOver({ silentMs }));
    await untilStatus(context, id, 'running', LIMIT_SECONDS);
  }
  const claimed = `${agentId}-claimed`;
  await beginClaim(context, claimed);
  outages.push(await postgres.failOver());
  await untilStatus(context, claimed, 'running', LIMIT_SECONDS);
  await destroyAgent(context, ids[0]!);
  await untilActive(context, ids[0]!, 'destroy');
  outages.push(await postgres.failOver());
  await untilStatus(context, ids[0]!, 'destroyed', LIMIT_SECONDS);
  const finding = await conclude(context, { workers: 1, told: [], agentId: ids[0]! });
  finding.figures = {
    ...finding.figures,
    failovers: outages.length,
    'longest outage in seconds': Math.max(...outages).toFixed(1),
  };
  return finding;
}

function untilActive(context: ScenarioContext, agentId: string, kind: string): Promise<unknown> {
  return until(
    `the ${kind} of ${agentId} is in progress`,
    60,
    async () =>
      (await readOperations(context, agentId)).some((one) => one.kind === kind && one.status === 'active'),
    20,
  );
}
