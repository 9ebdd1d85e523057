import { optional } from '@optique/core/modifiers';
import { argument, option } from '@optique/core/primitives';
import { string } from '@optique/core/valueparser';
import { allPages } from '../../../client/client.ts';
import type { Arguments } from '../arguments.ts';
import { type Command, defineCommand, json, toText, verbOf } from '../command.ts';
import { UsageError } from '../connection.ts';
import { answer, printJson, printTable, type Terminal } from '../terminal.ts';
import { PAGE } from './lists.ts';

export const orders = ({ agent }: Arguments): Command =>
  defineCommand({
    name: 'orders',
    brief: 'all orders, each with its agent or with what is wrong with it; link one to an agent',
    detail:
      'link: for an order that needs attention and whose agent exists, such as one that was created by hand. Its subscription then pays for that agent. `create --order SESSION` makes both at once.',
    examples: ['orders --attention', 'orders link cs_live_a1b2c3 ada'],
    fields: {
      verb: verbOf(['list', 'link']),
      sessionId: optional(
        argument(string({ metavar: 'SESSION' }), { description: toText('its checkout session, with link') }),
      ),
      agentId: optional(agent),
      attention: option('--attention', { description: toText('only those that need a person') }),
      ...json,
    },
    run: async ({ verb, sessionId, agentId, attention, json: asJson }, terminal) => {
      if (verb === 'list') {
        if (sessionId !== undefined) throw new UsageError('orders list takes no session.');
        return list({ attention, asJson }, terminal);
      }
      if (sessionId === undefined || agentId === undefined)
        throw new UsageError('Which order, and which agent? orders link SESSION AGENT');
      return link({ sessionId, agentId, asJson }, terminal);
    },
  });

async function link(
  { sessionId, agentId, asJson }: { sessionId: string; agentId: string; asJson: boolean },
  terminal: Terminal,
): Promise<true> {
  const params = { path: { sessionId } };
  const linked = await answer(
    terminal.api.POST('/api/orders/{sessionId}/link', { params, body: { agentId } }),
  );
  if (asJson) return printJson(terminal, linked);
  const paid = linked.subscriptionId === null ? '' : `, which ${linked.subscriptionId} pays for`;
  terminal.print(`Order ${sessionId} has agent ${agentId}${paid}.`);
  return true;
}

async function list(
  { attention, asJson }: { attention: boolean; asJson: boolean },
  terminal: Terminal,
): Promise<true> {
  const query = { limit: PAGE, ...(attention && { attention: 'true' }) };
  const found = await allPages((cursor) =>
    answer(terminal.api.GET('/api/orders', { params: { query: { ...query, ...(cursor && { cursor }) } } })),
  );
  if (asJson) return printJson(terminal, found);
  printTable(
    terminal,
    [
      'SESSION',
      'AGENT',
      { name: 'SUBSCRIPTION', droppable: 2 },
      { name: 'CREATED', droppable: 1 },
      'ATTENTION',
    ],
    found.map((order) => [
      order.sessionId,
      order.agentId,
      order.subscriptionId,
      order.createdAt.slice(0, 19),
      order.attention,
    ]),
  );
  return true;
}
