import { expect, test } from 'vitest';
import { AGENT_COLUMNS } from '../../src/cli/commands/lists.ts';
import { plain, table, tableLines } from '../../src/cli/table.ts';

const rows = [
  [
    'a-long-agent-id-of-thirty-five-char',
    'running',
    null,
    'healthy',
    'starter',
    'fsn1',
    '4700010',
    '198.19.183.106',
    '100.118.74.178',
    '2026-11-22T02:40:26',
  ],
];
const longest = (width: number | undefined) =>
  Math.max(...tableLines(AGENT_COLUMNS, rows, width).map((line) => plain(line).length));

test.each([40, 60, 80, 100, 120, 200])('a table fits %i columns and keeps id, status and health', (width) => {
  expect(longest(width)).toBeLessThanOrEqual(width);
  const [heading, row] = tableLines(AGENT_COLUMNS, rows, width).map(plain);
  expect(heading).toMatch(/^AGENT +STATUS .*HEALTH/);
  expect(row).toContain('running');
});

test('what is cut says so; without a width, as in a pipe, everything is there', () => {
  expect(plain(tableLines(AGENT_COLUMNS, rows, 40)[1]!)).toContain('…');
  expect(table(AGENT_COLUMNS, rows)).toContain('a-long-agent-id-of-thirty-five-char');
  expect(table(AGENT_COLUMNS, rows)).not.toContain('…');
  expect(longest(undefined)).toBeGreaterThan(120);
});

test('states have a colour, other words have none, and an entry brings none of its own', () => {
  const [, row] = tableLines(['AGENT', 'STATUS', 'ERROR'], [['failed', 'failed', '\u001b[31mred']]);
  expect(row).toEqual(['failed  ', { text: 'failed  ', format: 'red' }, '\\u001b[31mred']);
});
