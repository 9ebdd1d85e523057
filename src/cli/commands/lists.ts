import { choice, string } from '@optique/core/valueparser';
import { allPages } from '../../../client/client.ts';
import { AGENT_STATUSES } from '../../agents/states.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import { defineCommand, json, text } from '../command.ts';
import type { Cell, Column } from '../table.ts';
import { answer, printJson, printTable } from '../terminal.ts';

/** The most of a list that the service answers at once. */
export const PAGE = 200;

export const AGENT_COLUMNS: readonly Column[] = [
  'AGENT',
  'STATUS',
  { name: 'STEP', droppable: 2 },
  'HEALTH',
  { name: 'PLAN', droppable: 3 },
  { name: 'LOCATION', droppable: 4 },
  { name: 'SERVER', droppable: 7 },
  { name: 'IPV4', droppable: 6 },
  { name: 'TAILNET IP', droppable: 5 },
  { name: 'CREATED', droppable: 1 },
];

export function agentRow(agent: AgentJson): Cell[] {
  return [
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
  ];
}

export const list = defineCommand({
  name: 'list',
  brief: 'all agents, newest first',
  examples: ['list --status failed', 'list --search ada', "list --json | jq -r '.[].agentId'"],
  fields: {
    status: text(
      '--status',
      choice(AGENT_STATUSES, { metavar: 'STATUS', suggest: 'nearest' }),
      'only those in it',
    ),
    search: text(
      '--search',
      string({ metavar: 'TEXT' }),
      'only those with it in an id, user, address, server, subscription, region or plan',
    ),
    ...json,
  },
  run: async ({ status, search, json: asJson }, terminal) => {
    const query = { limit: PAGE, ...(status && { status }), ...(search && { q: search }) };
    const agents = await allPages((cursor) =>
      answer(terminal.api.GET('/api/agents', { params: { query: { ...query, ...(cursor && { cursor }) } } })),
    );
    if (asJson) return printJson(terminal, agents);
    printTable(terminal, AGENT_COLUMNS, agents.map(agentRow));
    return true;
  },
});
