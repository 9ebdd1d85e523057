import { sql } from 'kysely';
import type { StackProgram } from '../../stacks/program.ts';
import { completeInputs } from '../agents/inputs.ts';
import { type AgentKeys, createVault } from '../agents/secrets.ts';
import { findAgent } from '../agents/store.ts';
import { ConfigError } from '../config/config-error.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import { databaseVersion } from '../database/migrations.ts';
import { changesStack, type PulumiArguments } from './pulumi-arguments.ts';

/** What the plain Pulumi CLI needs for one of our stacks. */
export interface PreparedStack {
  /** The Hetzner project of what is in it. */
  project: string;
  /** Undefined: the command works on the state alone. */
  program?: StackProgram;
  keys?: AgentKeys;
}

/**
 * Prepares the stack's program with the last applied inputs; returns undefined if the command names no stack
 * of ours.
 * @throws ConfigError if the command may not change the stack now, or nothing says with which project's token
 */
export async function prepareStack(
  database: Database,
  { hcloud, pulumi }: Pick<Connections, 'hcloud' | 'pulumi'>,
  args: PulumiArguments,
): Promise<PreparedStack | undefined> {
  const { stackName } = args;
  const isUnclear = changesStack(args) && hcloud.projects.length > 1;
  if (stackName === undefined && isUnclear)
    throw new ConfigError('There are several Hetzner projects: name the stack, with --stack');
  if (stackName === undefined || (await databaseVersion(database)) === undefined) return undefined;
  if (stackName.startsWith('foundation-')) {
    const project = stackName.slice('foundation-'.length);
    return { project, program: { stack: 'foundation', inputs: { project } } };
  }
  if (!stackName.startsWith('agent-')) return undefined;
  const ownerId = stackName.slice('agent-'.length);
  if (changesStack(args)) await refuseWhileBusy(database, ownerId);
  const project = await findProject(database, ownerId);
  if (project === undefined && isUnclear)
    throw new ConfigError(
      `Nothing says in which Hetzner project ${stackName} is: with another one’s token its server would look gone`,
    );
  return project === undefined ? undefined : { project, ...(await prepareAgent(database, pulumi, ownerId)) };
}

/** The Hetzner project of an agent, a slot or an image. */
async function findProject(database: Database, ownerId: string): Promise<string | undefined> {
  const { rows } = await sql<{ project: string }>`
    select project from agents where agent_id = ${ownerId}
    union all select project from slots where slot_id = ${ownerId}
    union all select project from images where image_id = ${ownerId}`.execute(database);
  return rows[0]?.project;
}

/** What a slot, an image or an agent without a server has is in the state alone. */
async function prepareAgent(
  database: Database,
  { keyring }: Connections['pulumi'],
  agentId: string,
): Promise<Omit<PreparedStack, 'project'>> {
  const agent = await findAgent(database, agentId);
  if (agent?.inputs == null || agent.secrets === null) return {};
  const keys = createVault(keyring).open(agentId, agent.secrets);
  const inputs = completeInputs(agentId, agent.inputs);
  const { tailnet_ip: tailnetIp, tailnet_name: tailnetName } = agent;
  const device = tailnetIp === null || tailnetName === null ? undefined : { tailnetIp, tailnetName };
  return {
    program: { stack: 'agent', inputs, secrets: { hostPrivateKey: keys.hostPrivateKey }, device },
    keys,
  };
}

async function refuseWhileBusy(database: Database, agentId: string): Promise<void> {
  const busy = await database
    .selectFrom('operations')
    .select(['kind', 'operation_id'])
    .where('agent_id', '=', agentId)
    .where('status', '=', 'active')
    .executeTakeFirst();
  if (busy !== undefined) {
    throw new ConfigError(
      `A ${busy.kind} of agent ${agentId} is running (operation ${busy.operation_id}): two at once could leave a server behind. ` +
        'Wait for it, or cancel it: npm run agents -- cancel ' +
        busy.operation_id,
    );
  }
}
