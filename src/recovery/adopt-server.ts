import { type Adopting, adoptingSchema, MOST_LABELS } from '../../stacks/agent-inputs.ts';
import { findServerOwner, insertAdoption } from '../agents/adoptions.ts';
import { audit } from '../agents/audit.ts';
import { newAgent } from '../agents/new-agent.ts';
import { serverFor } from '../agents/plans.ts';
import { toLocation } from '../agents/regions.ts';
import { generateAgentKeys, type Vault } from '../agents/secrets.ts';
import { newServerName } from '../agents/server-names.ts';
import { findAgent, type NewAgent, whyTaken } from '../agents/store.ts';
import type { Database } from '../database/connect.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../errors.ts';
import type { HetznerClient, ServerDescription } from '../hetzner/hetzner.ts';
import { insertOperation } from '../operations/requests.ts';
import type { OperationRow } from '../operations/rows.ts';
import type { Queue } from '../queue/queue.ts';
import { whyUnfit } from '../runbooks/steps/unfit-server.ts';
import { renderAccessScript } from '../tailnet/admission/scripts.ts';
import { explainAdoption } from './explain-adoption.ts';

export interface AdoptionDeps {
  database: Database;
  queue: Queue;
  vault: Vault;
  /** The Hetzner projects by name. */
  projects: ReadonlyMap<string, Pick<HetznerClient, 'describeServer'>>;
}

export interface AdoptionRequest {
  agentId: string;
  /** Hetzner's id or name of the server. */
  server: string;
  userId: string;
  /** Default: the one that has such a server. */
  project?: string | undefined;
  /** Default: the server's location. */
  region?: string | undefined;
  plan?: string | undefined;
  /** The server's ed25519 host key, as its owner knows it. Needed to adopt it. */
  hostKey?: string | undefined;
  actor: string;
}

/** What would be done, or has begun. */
export interface AdoptionPlan {
  agent: NewAgent;
  project: string;
  server: ServerDescription;
  /** Why it cannot be adopted; empty: it can. */
  refusals: string[];
  /** What an adoption does, and what it never does, for people. */
  explained: ReturnType<typeof explainAdoption>;
}

export interface BegunAdoption extends AdoptionPlan {
  operation: OperationRow;
  /** The script by which the server's owner lets the service in. */
  accessScript: string;
}

/**
 * Looks at the server and the rows, and changes nothing.
 * @throws NotFoundError if there is no such server; ConflictError if two projects have one
 */
export async function planAdoption(deps: AdoptionDeps, request: AdoptionRequest): Promise<AdoptionPlan> {
  const { project, server } = await findServer(deps, request);
  const agent = newAgent({ ...request, region: request.region ?? server.location });
  return {
    agent,
    project,
    server,
    refusals: await whyNot(deps.database, { agent, server }),
    explained: explainAdoption(server, { usualType: serverFor(agent.plan, agent.location).serverType }),
  };
}

/**
 * Reserves the agent's id and the server, and queues the adoption. Nothing at a cloud is changed here: a kill
 * before the commit leaves nothing, one after it a queued operation.
 * @throws ConflictError with everything that speaks against it; InvalidInputError without a host key
 */
export async function requestAdoption(deps: AdoptionDeps, request: AdoptionRequest): Promise<BegunAdoption> {
  const plan = await planAdoption(deps, request);
  if (plan.refusals.length > 0) throw new ConflictError(plan.refusals.join('; '));
  const adopting = toAdopting(plan.server, request.hostKey);
  const { agent, project, server } = plan;
  const keys = generateAgentKeys(agent.agentId);
  const usual = serverFor(agent.plan, agent.location);
  const recorded = {
    serverName: newServerName(),
    serverType: server.serverType,
    // It matters only for a rebuild: a snapshot has no name, and may be gone by then.
    image: server.image ?? usual.image,
  };
  const secrets = deps.vault.seal(agent.agentId, keys);
  const operation = await deps.database.transaction().execute(async (trx) => {
    await insertAdoption(trx, { agent, project, adopting, server: recorded, secrets });
    const row = await insertOperation(trx, deps.queue, { agentId: agent.agentId, kind: 'adopt-server' });
    if (row.executor !== 'local')
      throw new ConflictError('GitHub’s runners adopt no servers: start a worker with EXECUTOR=local for it');
    const details = {
      project,
      serverId: server.id,
      serverName: server.name,
      plan: agent.plan,
      userId: agent.userId,
    };
    const { actor } = request;
    await audit(trx, {
      actor,
      action: 'agent.adopt',
      agentId: agent.agentId,
      operationId: row.operation_id,
      details,
    });
    return row;
  });
  return { ...plan, operation, accessScript: renderAccessScript(keys.sshPublicKey) };
}

async function findServer({ projects }: AdoptionDeps, { server: wanted, project }: AdoptionRequest) {
  if (project !== undefined && !projects.has(project))
    throw new NotFoundError(`This service does not know the Hetzner project ${project}`);
  const found: { project: string; server: ServerDescription }[] = [];
  for (const [name, hetzner] of projects) {
    if (project !== undefined && name !== project) continue;
    const server = await hetzner.describeServer(wanted);
    if (server !== undefined) found.push({ project: name, server });
  }
  const [first, second] = found;
  if (first === undefined)
    throw new NotFoundError(`No server ${wanted} is in ${project ?? [...projects.keys()].join(', ')}`);
  if (second !== undefined)
    throw new ConflictError(
      `${first.project} and ${second.project} have a server ${wanted}: name the project`,
    );
  return first;
}

async function whyNot(
  database: Database,
  { agent, server }: Pick<AdoptionPlan, 'agent' | 'server'>,
): Promise<string[]> {
  const known = await findAgent(database, agent.agentId);
  const owner = await findServerOwner(database, { serverId: server.id, name: server.name });
  return [
    ...(known === undefined ? [] : [whyTaken(known)]),
    ...(owner === undefined ? [] : [`server ${server.name} (${server.id}) is that of ${owner}`]),
    ...(toLocation(server.location) === agent.location
      ? []
      : [`it is in ${server.location}, and ${agent.region} is ${agent.location}`]),
    ...(Object.keys(server.labels).length > MOST_LABELS
      ? [`it has more than ${MOST_LABELS} labels, which could not be given back`]
      : []),
    ...whyUnfit(server),
  ];
}

function toAdopting({ id, name, labels, ipv4 }: ServerDescription, hostKey: string | undefined): Adopting {
  if (hostKey === undefined)
    throw new InvalidInputError(
      'body.hostKey is missing: without it another machine could pose as the server',
    );
  // Without a comment.
  const hostPublicKey = hostKey.trim().split(/\s+/).slice(0, 2).join(' ');
  return adoptingSchema.parse({ serverId: id, ipv4, hostPublicKey, before: { name, labels } });
}
