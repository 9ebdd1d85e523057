import { expect, test } from 'vitest';
import { barChart } from '../../src/dashboard/design/bar-chart.ts';
import { topCount, topSeconds } from '../../src/dashboard/design/chart.ts';
import { lineChart } from '../../src/dashboard/design/line-chart.ts';
import { table } from '../../src/dashboard/design/table.ts';
import { relativeTime, when } from '../../src/dashboard/design/when.ts';

const NOW = Date.parse('2027-01-31T10:00:00Z');

test.each([
  ['2027-01-31T09:59:20.000Z', '40 s ago'],
  ['2027-01-31T10:00:00.000Z', '0 s ago'],
  ['2027-01-31T10:15:00.000Z', 'in 15 min'],
  ['2027-01-29T09:00:00.000Z', '2 days ago'],
])('%s is %s', (iso, text) => {
  expect(relativeTime(iso, NOW)).toBe(text);
});

test('a time shows its distance, and its exact value on hover', () => {
  expect(when('2027-01-31T09:00:00.000Z', NOW).toString()).toBe(
    '<span class="when" title="2027-01-31 09:00:00 UTC"><time datetime="2027-01-31T09:00:00.000Z">1 h ago</time></span>',
  );
});

test('an axis ends at a round number that is large enough and whose half can be read', () => {
  expect([0, 1, 2, 3, 7, 11, 61, 900].map(topCount)).toEqual([2, 2, 2, 4, 8, 20, 80, 1000]);
  expect([0, 41, 61, 130, 4000].map(topSeconds)).toEqual([1, 60, 120, 240, 7200]);
});

test('bars are as high as what they count, the second series on top of the first and hatched', () => {
  const chart = barChart({
    id: 'b',
    title: 'Provisions',
    summary: '<3 in two hours>',
    names: ['Succeeded', 'Failed'],
    columns: [
      { label: '09:00', plain: 1, hatched: 1 },
      { label: '10:00', plain: 0, hatched: 1 },
    ],
  }).toString();
  const heights = [...chart.matchAll(/<rect class="(\w+)"[^>]* y="([\d.]+)"[^>]* height="([\d.]+)"/g)];
  expect(heights.map(([, name, y, height]) => [name, Number(y), Number(height)])).toEqual([
    ['bar', 68, 58],
    ['rest', 10, 58],
    ['rest', 68, 58],
  ]);
  expect(chart).toContain('fill="url(#b-hatch)"');
  expect(chart).toContain('aria-label="&lt;3 in two hours&gt;"');
  expect(chart).toContain(
    '<tr><th scope="row">09:00</th><td class="number">1</td><td class="number">1</td></tr>',
  );
});

test('a line is interrupted where nothing was measured', () => {
  const columns = [10, 20, null, 30].map((solid, at) => ({ label: String(at), solid, dashed: null }));
  const chart = lineChart({
    id: 'l',
    title: 't',
    summary: 's',
    names: ['Median', '95 %'],
    columns,
  }).toString();
  expect(chart.match(/<line class="line"/g)).toHaveLength(1);
  expect(chart.match(/<circle/g)).toHaveLength(3);
  expect(chart).toContain('<th scope="row">2</th><td class="number">–</td>');
});

test('a table names the columns in every cell and says how it is sorted', () => {
  const markup = table({
    caption: 'Things',
    columns: [
      {
        name: 'Name',
        cell: (row: { name: string }) => row.name,
        sort: { href: '?sort=name', now: 'ascending' },
      },
      { name: 'Size', cell: () => 7 },
    ],
    rows: [{ name: '<b>' }],
  }).toString();
  expect(markup).toContain('<th scope="col" aria-sort="ascending"><a href="?sort=name">Name</a>');
  expect(markup).toContain('<th scope="row">&lt;b&gt;</th>\n<td data-label="Size">7</td>');
});
