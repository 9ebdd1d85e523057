import { optional } from '@optique/core/modifiers';
import { argument, option } from '@optique/core/primitives';
import { choice, integer } from '@optique/core/valueparser';
import { allPages, answer } from '../../../client/client.ts';
import { BREAKERS } from '../../database/vocabulary.ts';
import type { AttentionJson } from '../../http/limits/attention-json.ts';
import type { BreakerJson } from '../../http/limits/breaker-json.ts';
import { printableLines } from '../../processes/terminal-text.mjs';
import { defineCommand, json, toText } from '../command.ts';
import { printJson, printTable, type Terminal } from '../terminal.ts';
import { PAGE } from './lists.ts';

const breaker = argument(choice(BREAKERS, { metavar: 'BREAKER', suggest: 'nearest' }), {
  description: toText(BREAKERS.join(', ')),
});

export const attention = defineCommand({
  name: 'attention',
  brief: 'everything that needs a person, and what to do',
  examples: ['attention', "attention --json | jq -r '.[] | [.class, .agentId, .cause] | @tsv'"],
  fields: json,
  run: async ({ json: asJson }, terminal) => {
    const { print } = terminal;
    const items = await allPages((cursor) =>
      answer(
        terminal.api.GET('/api/attention', { params: { query: { limit: PAGE, ...(cursor && { cursor }) } } }),
      ),
    );
    if (asJson) return printJson(terminal, items);
    const shown = [...items, ...(await listProposed(terminal))];
    if (shown.length === 0) print('Nothing needs you.');
    for (const item of shown) {
      print([item.class, item.agentId, `since ${item.since.slice(0, 19)}`].filter(Boolean).join('  '));
      print(`  ${printableLines(item.cause, '  ')}`);
      print(`  → ${printableLines(item.cure, '    ')}`);
    }
    return true;
  },
});

/** What programs propose, for people who read. */
async function listProposed({ api }: Terminal): Promise<Shown[]> {
  const proposals = await allPages((cursor) =>
    answer(api.GET('/api/proposals', { params: { query: { limit: PAGE, ...(cursor && { cursor }) } } })),
  );
  return proposals
    .filter(({ status }) => status === 'open')
    .map(({ agentId, kind, reason, proposedBy, proposedAt }) => ({
      class: 'proposal',
      agentId,
      since: proposedAt,
      cause: `${proposedBy} proposes to ${kind} it: ${reason}`,
      cure: 'Approve or reject it under Attention on the dashboard. Undecided, it expires after a day.',
    }));
}

type Shown = Omit<AttentionJson, 'class'> & { class: AttentionJson['class'] | 'proposal' };

export const breakers = defineCommand({
  name: 'breakers',
  brief: 'limits on what the service does by itself; with one, what waits for it',
  examples: ['breakers', 'breakers destroys'],
  fields: { name: optional(breaker), ...json },
  run: async ({ name, json: asJson }, terminal) => {
    if (name !== undefined) return held(name, asJson, terminal);
    // All of them are on one page; the route takes no query.
    const { items } = await answer(terminal.api.GET('/api/breakers'));
    if (asJson) return printJson(terminal, items);
    printBreakers(items, terminal);
    return true;
  },
});

function printBreakers(items: readonly BreakerJson[], terminal: Terminal): void {
  const { print } = terminal;
  const rows = items.map((item) => [
    item.name,
    item.tripped ? 'tripped' : 'closed',
    item.used === null ? null : String(item.used),
    item.allowed === null ? null : String(item.allowed),
    String(item.waiting),
    String(item.approved),
    item.title,
  ]);
  printTable(terminal, ['BREAKER', 'STATE', 'USED', 'ALLOWED', 'WAITING', 'APPROVED', 'LIMITS'], rows);
  for (const { name, cause, cure } of items.filter(({ tripped }) => tripped)) {
    print('');
    print(printableLines(`${name}: ${cause}`, '  '));
    print(`  → ${printableLines(cure, '    ')}`);
  }
}

async function held(name: (typeof BREAKERS)[number], asJson: boolean, terminal: Terminal): Promise<true> {
  const items = await allPages((cursor) =>
    answer(
      terminal.api.GET('/api/breakers/{name}/changes', {
        params: { path: { name }, query: { limit: PAGE, ...(cursor && { cursor }) } },
      }),
    ),
  );
  if (asJson) return printJson(terminal, items);
  printTable(
    terminal,
    ['AGENT', 'CHANGE', { name: 'SINCE', droppable: 1 }, 'APPROVED', 'CAUSE'],
    items.map((item) => [
      item.agentId,
      item.kind,
      item.since.slice(0, 19),
      item.approved ? 'yes' : 'no',
      item.cause,
    ]),
  );
  return true;
}

export const approve = defineCommand({
  name: 'approve',
  brief: 'let what waits for a breaker go, at the allowed rate',
  examples: ['approve destroys --count 10'],
  fields: {
    name: breaker,
    count: optional(
      option('--count', integer({ metavar: 'N', min: 1, max: 1_000_000 }), {
        description: toText('only so many, the oldest first'),
      }),
    ),
    ...json,
  },
  run: async ({ name, count, json: asJson }, terminal) => {
    const now = await answer(
      terminal.api.POST('/api/breakers/{name}/approve', {
        params: { path: { name } },
        body: count === undefined ? {} : { count },
      }),
    );
    if (asJson) return printJson(terminal, now);
    terminal.print(
      now.waiting === 0
        ? `${now.name}: nothing waits; the breaker is closed`
        : `${now.name}: ${now.approved} of ${now.waiting} that wait are approved, and go at the allowed rate`,
    );
    return true;
  },
});
