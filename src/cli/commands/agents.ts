import { option } from '@optique/core/primitives';
import { choice, string } from '@optique/core/valueparser';
import { allPages, answer } from '../../../client/client.ts';
import { PLANS } from '../../agents/plans.ts';
import { REGIONS } from '../../agents/regions.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, json, needed, text, toText, waiting } from '../command.ts';
import { CommandError } from '../connection.ts';
import { follow, printEvents, printTimeline, seconds } from '../operations.ts';
import { printJson, printTable } from '../terminal.ts';
import { describeHolds } from './holds.ts';
import { PAGE } from './lists.ts';

export const show = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'show',
    brief: 'one agent with its operations, and the steps of the latest one',
    examples: ['show ada', "show ada --json | jq -r '.tailnetIp'"],
    fields: { agentId: agent, ...json },
    run: async ({ agentId, json: asJson }, terminal) => {
      const path = { agentId };
      const found = await answer(terminal.api.GET('/api/agents/{agentId}', { params: { path } }));
      const operations = await allPages((cursor) => {
        const query = { limit: PAGE, ...(cursor && { cursor }) };
        return answer(terminal.api.GET('/api/agents/{agentId}/operations', { params: { path, query } }));
      });
      if (asJson) return printJson(terminal, { ...found, operations });
      printTable(
        { ...terminal, width: undefined },
        ['AGENT', found.agentId],
        Object.entries({
          ...found,
          protected: String(found.protected),
          holds: describeHolds(found),
          billing: describeBilling(found),
        }).slice(1),
      );
      terminal.print('');
      printTable(
        terminal,
        [
          'OPERATION',
          'KIND',
          'STATUS',
          { name: 'ATTEMPT', droppable: 2 },
          { name: 'CREATED', droppable: 1 },
          'TOOK',
          'ERROR',
        ],
        operations.map((operation) => [
          operation.operationId,
          operation.kind,
          operation.status,
          String(operation.attempt),
          operation.createdAt.slice(0, 19),
          operation.finishedAt && `${seconds(operation.createdAt, operation.finishedAt)} s`,
          operation.error,
        ]),
      );
      const [latest] = operations;
      if (latest !== undefined) printTimeline(terminal, latest);
      return true;
    },
  });

/** The state of the subscription with the dates that are to come. */
function describeBilling({ billing }: Pick<AgentJson, 'billing'>): string | null {
  if (billing === null) return null;
  const { subscriptionId: _, state, ...dates } = billing;
  const known = Object.entries(dates).flatMap(([name, date]) =>
    date === null ? [] : [`${name} ${date.slice(0, 19)}`],
  );
  return [state, ...known].join('; ');
}

export const create = defineCommand({
  name: 'create',
  brief: 'create an agent by hand: without an order, or for one that needs attention',
  examples: [
    'create --user-id u1 --region eu-central --wait',
    'create --user-id u1 --region eu-central --order cs_live_a1b2c3',
  ],
  fields: {
    userId: needed('--user-id', string({ metavar: 'ID' }), 'whose it is'),
    region: needed(
      '--region',
      string({ metavar: 'REGION' }),
      `${REGIONS.join(', ')}, or the name of a Hetzner location`,
    ),
    agentId: text('--agent-id', string({ metavar: 'ID' }), 'default: a UUID is made'),
    plan: text('--plan', choice(PLANS, { metavar: 'PLAN', suggest: 'nearest' }), PLANS.join(', ')),
    order: text(
      '--order',
      string({ metavar: 'SESSION' }),
      'the checkout session of the order that it is for: its subscription then pays for the agent',
    ),
    ...waiting,
  },
  run: async ({ userId, region, agentId, plan, order, ...common }, terminal) => {
    const more = { ...(agentId && { agentId }), ...(plan && { plan }), ...(order && { order }) };
    const body = { userId, region, ...more };
    return follow(await answer(terminal.api.POST('/api/agents', { body })), common, terminal);
  },
});

export const logs = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'logs',
    brief: 'log of its newest operation',
    detail: 'With --json, one JSON document a line.',
    examples: ['logs ada -f', 'logs ada --json | jq -r \'select(.event == "step").step\''],
    fields: {
      agentId: agent,
      follow: option('-f', '--follow', {
        description: toText('follow it until it ends; exit 1 if it failed'),
      }),
      ...json,
    },
    run: async ({ agentId, follow: isFollowing, json: asJson }, terminal) => {
      const params = { path: { agentId }, query: { limit: 1 } };
      const page = await answer(terminal.api.GET('/api/agents/{agentId}/operations', { params }));
      const [latest] = page.items;
      if (latest === undefined) throw new CommandError(`Agent ${agentId} has no operations yet`);
      const ended = await printEvents(terminal, latest, { follow: isFollowing, json: asJson });
      return !isFollowing || ended.status === 'succeeded';
    },
  });
