import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AGENT_STATUSES, EDGES, statusesBefore } from '../../src/agents/states.ts';
import { OPERATION_STATUSES } from '../../src/operations/states.ts';

const page = readFileSync(new URL('../../docs/states.md', import.meta.url), 'utf8');
const [agentPart, operationPart] = page.split('## An operation') as [string, string];

test('the diagram in docs/states.md has exactly the edges of the table', () => {
  const drawn = [...agentPart.matchAll(/^ +(\w+) --> (\w+): (.+)$/gm)].map(([, from, to, by]) => ({
    from,
    to,
    by,
  }));
  expect(drawn).toEqual(EDGES);
});

test('the page explains every status', () => {
  const explained = [...agentPart.matchAll(/^\| `(\w+)` +\|/gm)].map(([, status]) => status);
  expect(explained).toEqual(AGENT_STATUSES);
  const named = new Set(
    [...operationPart.matchAll(/^ +(\w+) --> (\w+)/gm)].flatMap(([, from, to]) => [from, to]),
  );
  expect([...named].sort()).toEqual([...OPERATION_STATUSES].sort());
});

test('every status can be reached, and every status but the last can be left', () => {
  for (const status of AGENT_STATUSES) {
    if (status !== 'requested') expect(statusesBefore(status), status).not.toEqual([]);
    const leaving = EDGES.filter((edge) => edge.from === status);
    if (status === 'destroyed') expect(leaving).toEqual([]);
    else expect(leaving.length, status).toBeGreaterThan(0);
  }
});

test('every live agent can be destroyed', () => {
  const live = AGENT_STATUSES.filter((status) => !['destroying', 'destroyed'].includes(status));
  expect(statusesBefore('destroying')).toEqual(live);
});
