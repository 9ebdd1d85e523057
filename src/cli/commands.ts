import { type AgentJson, agentJson } from '../http/agents/agent-json.ts';
import { operationJson } from '../http/operations/operation-json.ts';
import { orderJson } from '../http/order-json.ts';
import { pageOf } from '../http/paging.ts';
import { findRequestable } from '../operations/registry.ts';
import { type BuiltinCommand, isOperationCommand, type OperationCommand } from './arguments.ts';
import { CommandError } from './connection.ts';
import { changeHolds, describeHolds, protect } from './holds.ts';
import { image } from './images.ts';
import { approve, attention, breakers } from './limits.ts';
import { printEvents, printTimeline, request, seconds } from './operations.ts';
import { audit, notices, receipt } from './records.ts';
import { table } from './table.ts';
import { agentPath, all, type Of, printJson, type Terminal } from './terminal.ts';

export type { Terminal } from './terminal.ts';

/** Executes a command. @returns whether the requested operation succeeded. @throws CommandError */
export async function run(
  command: OperationCommand | Exclude<BuiltinCommand, { name: 'help' | 'ssh' }>,
  terminal: Terminal,
): Promise<boolean> {
  if (isOperationCommand(command)) return requestOperation(command, terminal);
  switch (command.name) {
    case 'list':
      return list(command, terminal);
    case 'orders':
      return orders(command, terminal);
    case 'notices':
      return notices(command, terminal);
    case 'audit':
      return audit(command, terminal);
    case 'receipt':
      return receipt(command, terminal);
    case 'image':
      return image(command, terminal);
    case 'show':
      return show(command, terminal);
    case 'logs':
      return logs(command, terminal);
    case 'attention':
      return attention(command, terminal);
    case 'breakers':
      return breakers(command, terminal);
    case 'approve':
      return approve(command, terminal);
    default:
      return change(command, terminal);
  }
}

type Change = Of<'create' | 'hold' | 'release' | 'protect' | 'unprotect' | 'cancel' | 'retry'>;

function change(command: Change, terminal: Terminal): Promise<boolean> {
  switch (command.name) {
    case 'create':
      return request(command, terminal, '/api/agents', command.agent);
    case 'hold':
    case 'release':
      return changeHolds(command, terminal);
    case 'protect':
    case 'unprotect':
      return protect(command, terminal);
    case 'cancel':
    case 'retry':
      return request(
        command,
        terminal,
        `/api/operations/${encodeURIComponent(command.operationId)}/${command.name}`,
      );
  }
}

async function list({ status, json }: Of<'list'>, terminal: Terminal): Promise<boolean> {
  const agents = await all(terminal.client, '/api/agents', status === undefined ? {} : { status }, agentJson);
  if (json) return printJson(terminal, agents);
  terminal.print(
    table(
      ['AGENT', 'STATUS', 'STEP', 'HEALTH', 'PLAN', 'LOCATION', 'SERVER', 'IPV4', 'TAILNET IP', 'CREATED'],
      agents.map((agent) => [
        agent.agentId,
        agent.status,
        agent.status === 'provisioning' ? agent.step : null,
        agent.health,
        agent.plan,
        agent.location,
        agent.serverId,
        agent.ipv4,
        agent.tailnetIp,
        agent.createdAt.slice(0, 19),
      ]),
    ),
  );
  return true;
}

async function orders({ attention, json }: Of<'orders'>, terminal: Terminal): Promise<boolean> {
  const found = await all(terminal.client, '/api/orders', attention ? { attention: 'true' } : {}, orderJson);
  if (json) return printJson(terminal, found);
  terminal.print(
    table(
      ['SESSION', 'AGENT', 'SUBSCRIPTION', 'CREATED', 'ATTENTION'],
      found.map((order) => [
        order.sessionId,
        order.agentId,
        order.subscriptionId,
        order.createdAt.slice(0, 19),
        order.attention,
      ]),
    ),
  );
  return true;
}

async function show({ agentId, json }: Of<'show'>, terminal: Terminal): Promise<boolean> {
  const { client, print } = terminal;
  const agent = await client.get(agentPath(agentId), agentJson);
  const operations = await all(client, `${agentPath(agentId)}/operations`, {}, operationJson);
  if (json) return printJson(terminal, { ...agent, operations });
  print(
    table(
      ['AGENT', agent.agentId],
      Object.entries({
        ...agent,
        protected: String(agent.protected),
        holds: describeHolds(agent),
        billing: describeBilling(agent),
      }).slice(1),
    ),
  );
  print('');
  print(
    table(
      ['OPERATION', 'KIND', 'STATUS', 'ATTEMPT', 'CREATED', 'TOOK', 'ERROR'],
      operations.map((operation) => [
        operation.operationId,
        operation.kind,
        operation.status,
        String(operation.attempt),
        operation.createdAt.slice(0, 19),
        operation.finishedAt && `${seconds(operation.createdAt, operation.finishedAt)} s`,
        operation.error,
      ]),
    ),
  );
  const [latest] = operations;
  if (latest !== undefined) printTimeline(terminal, latest);
  return true;
}

/** The state of the subscription with the dates that are to come. */
function describeBilling({ billing }: AgentJson): string | null {
  if (billing === null) return null;
  const { subscriptionId: _, state, ...dates } = billing;
  const known = Object.entries(dates).flatMap(([name, date]) =>
    date === null ? [] : [`${name} ${date.slice(0, 19)}`],
  );
  return [state, ...known].join('; ');
}

async function logs({ agentId, follow, json }: Of<'logs'>, terminal: Terminal): Promise<boolean> {
  const page = await terminal.client.get(`${agentPath(agentId)}/operations?limit=1`, pageOf(operationJson));
  const [latest] = page.items;
  if (latest === undefined) throw new CommandError(`Agent ${agentId} has no operations yet`);
  const ended = await printEvents(terminal, latest, { follow, json });
  return !follow || ended.status === 'succeeded';
}

/** Requests an operation. An irreversible one needs a person's confirmation first. */
async function requestOperation(command: OperationCommand, terminal: Terminal): Promise<boolean> {
  const { name, agentId, yes, parameters } = command;
  const { confirm } = findRequestable(name) ?? {};
  if (confirm !== undefined && !yes) {
    if (terminal.confirm === undefined) {
      throw new CommandError(`Without a terminal to confirm, ${name} needs --yes`);
    }
    const agent = await terminal.client.get(agentPath(agentId), agentJson);
    const verb = name.charAt(0).toUpperCase() + name.slice(1);
    const question = `${verb} agent ${agent.agentId} (${agent.status}) ${confirm.loses}?`;
    if (!(await terminal.confirm(question))) {
      terminal.print('Nothing was done.');
      return false;
    }
  }
  return request(command, terminal, `${agentPath(agentId)}/${name}`, parameters);
}
