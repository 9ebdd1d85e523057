import { AGENT_STEPS } from '../../src/agents/states.ts';
import { Clouds } from './clouds.ts';
import { Installation, SUITE_LEASE_SECONDS } from './installation.ts';
import { checkQuiet, type Violation } from './model.ts';
import { becomeQuiet } from './quiet.ts';
import { type Order, ServiceClient } from './service-client.ts';
import { type OperationRecord, takeSnapshot, withClient } from './snapshot.ts';
import { until } from './until.ts';

/** What a scenario works with: one installation, those who speak to it, and the orders placed so far. */
export interface Stage {
  installation: Installation;
  client: ServiceClient;
  clouds: Clouds;
  orders: Order[];
  bereft: Set<string>;
}

/** A new installation, with nothing of it started yet. */
export async function openStage(tools: Record<string, string>, workerConcurrency = 2): Promise<Stage> {
  const installation = await Installation.create({
    tools,
    leaseSeconds: SUITE_LEASE_SECONDS,
    workerConcurrency,
  });
  return {
    installation,
    client: new ServiceClient(installation),
    clouds: new Clouds(installation),
    orders: [],
    bereft: new Set(),
  };
}

/** Orders an agent and has the event answered. */
export async function orderAgent(stage: Stage, agentId: string): Promise<Order> {
  const order = ServiceClient.newOrder(agentId, 'eu-central');
  stage.orders.push(order);
  await until(
    `the order of ${agentId} is answered`,
    30,
    async () => (await stage.client.deliver(order, `evt_${agentId}`)) === 200,
  );
  return order;
}

export async function destroyAgent(stage: Stage, agentId: string): Promise<void> {
  const { status, body } = await stage.client.requestOperation(agentId, 'destroy');
  if (status !== 202) throw new Error(`destroy of ${agentId}: ${status} ${JSON.stringify(body)}`);
}

/** An agent's row, straight from the database: a question that works while the service is away. */
export async function readAgent(
  stage: Stage,
  agentId: string,
): Promise<{
  status: string;
  step: string | null;
  health: string;
  error: string | null;
  server_id: string | null;
}> {
  return withClient(stage.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query(
      'select status, step, health, error, server_id from agents where agent_id = $1',
      [agentId],
    );
    return rows[0] ?? { status: 'none', step: null, health: 'unknown', error: null, server_id: null };
  });
}

export async function readOperations(stage: Stage, agentId: string): Promise<OperationRecord[]> {
  return withClient(stage.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query(
      'select *, extract(epoch from run_after - now())::float as due_in from operations where agent_id = $1 order by sequence',
      [agentId],
    );
    return rows;
  });
}

export async function readLog(stage: Stage, agentId: string): Promise<string[]> {
  return withClient(stage.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query(
      `select e.data->>'line' as line from operation_events e join operations o using (operation_id)
       where o.agent_id = $1 and e.type = 'log' order by e.id`,
      [agentId],
    );
    return rows.map(({ line }) => line);
  });
}

export function untilStatus(
  stage: Stage,
  agentId: string,
  status: string,
  timeoutSeconds: number,
): Promise<unknown> {
  return until(`${agentId} is ${status}`, timeoutSeconds, async () => {
    const agent = await readAgent(stage, agentId);
    if (agent.status !== status)
      throw new Error(`it is ${agent.status} ${agent.step ?? ''} ${agent.error ?? ''}`);
    return true;
  });
}

/** Waits until the agent is in a step or past it: some are over within a moment. */
export function untilStep(
  stage: Stage,
  agentId: string,
  step: string,
  timeoutSeconds: number,
): Promise<unknown> {
  return until(
    `${agentId} is ${step}`,
    timeoutSeconds,
    async () =>
      AGENT_STEPS.indexOf((await readAgent(stage, agentId)).step as never) >=
      AGENT_STEPS.indexOf(step as never),
    25,
  );
}

/** Waits for quiet and looks at everything. */
export async function checkStage(
  stage: Stage,
  options: { workers: number; timeoutSeconds: number },
): Promise<Violation[]> {
  await becomeQuiet(stage, options);
  return checkQuiet(await takeSnapshot(stage.installation, stage.clouds), {
    answeredEvents: stage.client.answeredEvents,
    paid: new Map(stage.orders.map((order) => [order.sessionId, order.agentId])),
    bereft: stage.bereft,
  });
}
