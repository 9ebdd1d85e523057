import { attentionJson } from '../http/limits/attention-json.ts';
import { type BreakerJson, breakerJson, heldChangeJson } from '../http/limits/breaker-json.ts';
import { pageOf } from '../http/paging.ts';
import { printableLines } from '../processes/terminal-text.mjs';
import type { Client } from './client.ts';
import { all } from './lists.ts';
import { table } from './table.ts';

interface Output {
  client: Client;
  print(line: string): void;
}

/** Prints everything that needs a person, and what to do about each. */
export async function attention({ json }: { json: boolean }, { client, print }: Output): Promise<true> {
  const items = await all(client, '/api/attention', {}, attentionJson);
  if (json) print(JSON.stringify(items, null, 2));
  else if (items.length === 0) print('Nothing needs you.');
  else
    for (const item of items) {
      print(table([item.class, item.agentId ?? '', `since ${item.since.slice(0, 19)}`], []));
      print(`  ${printableLines(item.cause, '  ')}`);
      print(`  → ${printableLines(item.cure, '    ')}`);
    }
  return true;
}

/** Prints the state of all breakers, or what waits for one of them. */
export async function breakers(
  { json, breaker }: { json: boolean; breaker: string | undefined },
  output: Output,
): Promise<true> {
  const { client, print } = output;
  if (breaker !== undefined) return held(breaker, json, output);
  // All of them are on one page; the route takes no query.
  const { items } = await client.get('/api/breakers', pageOf(breakerJson));
  if (json) print(JSON.stringify(items, null, 2));
  else printBreakers(items, print);
  return true;
}

function printBreakers(items: readonly BreakerJson[], print: (line: string) => void): void {
  const rows = items.map((item) => [
    item.name,
    item.tripped ? 'tripped' : 'closed',
    item.used === null ? null : String(item.used),
    item.allowed === null ? null : String(item.allowed),
    String(item.waiting),
    String(item.approved),
    item.title,
  ]);
  print(table(['BREAKER', 'STATE', 'USED', 'ALLOWED', 'WAITING', 'APPROVED', 'LIMITS'], rows));
  for (const { name, cause, cure } of items.filter(({ tripped }) => tripped)) {
    print('');
    print(printableLines(`${name}: ${cause}`, '  '));
    print(`  → ${printableLines(cure, '    ')}`);
  }
}

async function held(name: string, json: boolean, { client, print }: Output): Promise<true> {
  const path = `/api/breakers/${encodeURIComponent(name)}/changes`;
  const items = await all(client, path, {}, heldChangeJson);
  if (json) print(JSON.stringify(items, null, 2));
  else
    print(
      table(
        ['AGENT', 'CHANGE', 'SINCE', 'APPROVED', 'CAUSE'],
        items.map((item) => [
          item.agentId,
          item.kind,
          item.since.slice(0, 19),
          item.approved ? 'yes' : 'no',
          item.cause,
        ]),
      ),
    );
  return true;
}

/** Lets what waits for a breaker go. */
export async function approve(
  { json, breaker, count }: { json: boolean; breaker: string; count: number | undefined },
  { client, print }: Output,
): Promise<true> {
  const path = `/api/breakers/${encodeURIComponent(breaker)}/approve`;
  const now = await client.post(path, breakerJson, count === undefined ? {} : { count });
  if (json) print(JSON.stringify(now, null, 2));
  else if (now.waiting === 0) print(`${now.name}: nothing waits; the breaker is closed`);
  else
    print(
      `${now.name}: ${now.approved} of ${now.waiting} that wait are approved, and go at the allowed rate`,
    );
  return true;
}
