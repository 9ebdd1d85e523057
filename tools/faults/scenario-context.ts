import { AGENT_STEPS } from '../../src/agents/states.ts';
import { Clouds } from './clouds.ts';
import { Installation, POOL_REGION, SUITE_LEASE_SECONDS } from './installation.ts';
import { checkQuiet, type Violation } from './model.ts';
import { becomeQuiet } from './quiet.ts';
import type { ReplicatedPostgres } from './replicated-postgres.ts';
import { type Order, ServiceClient } from './service-client.ts';
import { type OperationRecord, takeSnapshot, withClient } from './snapshot.ts';
import { until } from './until.ts';

/** The context of a scenario: one installation, its clients, and the orders placed so far. */
export interface ScenarioContext {
  installation: Installation;
  client: ServiceClient;
  clouds: Clouds;
  orders: Order[];
  serverDeleted: Set<string>;
  /** Whether its database was restored. */
  recovered?: boolean;
  /** If the installation is on a Postgres of its own that can fail over. */
  postgres: ReplicatedPostgres | undefined;
}

/** Creates an installation; starts nothing yet. */
export async function createContext(
  tools: Record<string, string>,
  {
    workerConcurrency = 2,
    environment = {},
    postgres,
  }: {
    workerConcurrency?: number;
    environment?: Record<string, string>;
    postgres?: ReplicatedPostgres;
  } = {},
): Promise<ScenarioContext> {
  const installation = await Installation.create({
    tools,
    leaseSeconds: SUITE_LEASE_SECONDS,
    workerConcurrency,
    environment: { ...environment, ...(postgres && { DATABASE_URL: postgres.url }) },
  });
  return {
    installation,
    client: new ServiceClient(installation),
    clouds: new Clouds(installation),
    orders: [],
    serverDeleted: new Set(),
    postgres,
  };
}

/** Stops everything of it and removes what it left. */
export async function closeContext({ installation, postgres }: ScenarioContext): Promise<void> {
  await installation.stop();
  await installation.remove();
  await postgres?.stop();
}

/** Orders an agent and waits until the event is accepted. */
export async function orderAgent(
  context: ScenarioContext,
  agentId: string,
  region = 'eu-central',
): Promise<Order> {
  const order = ServiceClient.newOrder(agentId, region);
  context.orders.push(order);
  await until(
    `the order of ${agentId} is answered`,
    30,
    async () => (await context.client.deliver(order, `evt_${agentId}`)) === 200,
  );
  return order;
}

/**
 * Places an order where a server waits. Returns before it is answered, so that a kill may come first; what is
 * not answered is delivered again.
 */
export async function beginClaim(context: ScenarioContext, agentId: string): Promise<void> {
  void orderAgent(context, agentId, POOL_REGION).catch(() => {});
}

/** Places an order where a server waits, and returns once the agent that runs on it begins to adopt it. */
export async function beginAdoption(context: ScenarioContext, agentId: string): Promise<void> {
  await orderAgent(context, agentId, POOL_REGION);
  await untilStatus(context, agentId, 'running', 60);
  await until(
    `${agentId} adopts its server`,
    60,
    async () =>
      (await readOperations(context, agentId)).some(
        ({ kind, status }) => kind === 'adopt' && status === 'active',
      ),
    20,
  );
}

export async function destroyAgent(context: ScenarioContext, agentId: string): Promise<void> {
  const { status, body } = await context.client.requestOperation(agentId, 'destroy');
  if (status !== 202) throw new Error(`destroy of ${agentId}: ${status} ${JSON.stringify(body)}`);
}

/** Places or releases an operator's hold. */
export const changeHold =
  (verb: 'hold' | 'release') =>
  async (context: ScenarioContext, agentId: string): Promise<void> => {
    const answer = await context.client.ask('POST', `/api/agents/${agentId}/${verb}`, { reason: 'operator' });
    if (answer.status !== 202) throw new Error(`${verb} of ${agentId}: ${JSON.stringify(answer)}`);
  };

export async function hibernateAgent(context: ScenarioContext, agentId: string): Promise<void> {
  const answer = await context.client.requestOperation(agentId, 'hibernate');
  if (answer.status !== 202) throw new Error(`hibernate of ${agentId}: ${JSON.stringify(answer)}`);
}

/** Reads an agent's row straight from the database, which works while the service is away. */
export async function readAgent(
  context: ScenarioContext,
  agentId: string,
): Promise<{
  status: string;
  step: string | null;
  health: string;
  error: string | null;
  server_id: string | null;
  snapshot_id: string | null;
}> {
  return withClient(context.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query(
      'select status, step, health, error, server_id, snapshot_id from agents where agent_id = $1',
      [agentId],
    );
    const none = { status: 'none', step: null, health: 'unknown', error: null };
    return rows[0] ?? { ...none, server_id: null, snapshot_id: null };
  });
}

export async function readOperations(context: ScenarioContext, agentId: string): Promise<OperationRecord[]> {
  return withClient(context.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query(
      'select *, extract(epoch from run_after - now())::float as due_in from operations where agent_id = $1 order by sequence',
      [agentId],
    );
    return rows;
  });
}

export async function readLog(context: ScenarioContext, agentId: string): Promise<string[]> {
  return withClient(context.installation.file.databaseUrl, async (client) => {
    const { rows } = await client.query(
      `select e.data->>'line' as line from operation_events e join operations o using (operation_id)
       where o.agent_id = $1 and e.type = 'log' order by e.id`,
      [agentId],
    );
    return rows.map(({ line }) => line);
  });
}

export function untilStatus(
  context: ScenarioContext,
  agentId: string,
  status: string,
  timeoutSeconds: number,
): Promise<unknown> {
  return until(`${agentId} is ${status}`, timeoutSeconds, async () => {
    const agent = await readAgent(context, agentId);
    if (agent.status !== status)
      throw new Error(`it is ${agent.status} ${agent.step ?? ''} ${agent.error ?? ''}`);
    return true;
  });
}

/** Waits until the agent has reached a step or passed it: some steps are over in a moment. */
export function untilStep(
  context: ScenarioContext,
  agentId: string,
  step: string,
  timeoutSeconds: number,
): Promise<unknown> {
  return until(
    `${agentId} is ${step}`,
    timeoutSeconds,
    async () =>
      AGENT_STEPS.indexOf((await readAgent(context, agentId)).step as never) >=
      AGENT_STEPS.indexOf(step as never),
    25,
  );
}

/** Waits for quiet and checks all invariants. */
export async function checkWhenQuiet(
  context: ScenarioContext,
  options: { workers: number; timeoutSeconds: number },
): Promise<Violation[]> {
  await becomeQuiet(context, options);
  return checkQuiet(await takeSnapshot(context.installation, context.clouds), {
    answeredEvents: context.client.answeredEvents,
    paid: new Map(context.orders.map((order) => [order.sessionId, order.agentId])),
    serverDeleted: context.serverDeleted,
    ...(context.recovered && { recovered: true }),
  });
}
