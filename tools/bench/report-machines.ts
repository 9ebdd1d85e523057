import type { LeftOut, MachinesResult } from './machines.ts';
import type { Share } from './purchase.ts';
import { spread, summarize } from './statistics.ts';
import { table } from './table.ts';

const PARTS_TOLD = 10;

/** Seconds by step, and those of the configuration by its longest parts. */
export function machinesText(result: MachinesResult | LeftOut): string {
  if ('leftOut' in result) return `Real machines: left out, since ${result.leftOut}`;
  const { purchases, atOnceSeconds } = result;
  const of = (values: number[]) => spread(summarize(values), 1);
  const row = ([name, values]: [string, number[]]) => [name, of(values)];
  const steps = byName(purchases.map((purchase) => purchase.steps));
  const parts = byName(purchases.map((purchase) => purchase.configuring)).toSorted(
    ([, a], [, b]) => summarize(b).median - summarize(a).median,
  );
  return [
    `Real machines, ${purchases.length} bought one after the other: seconds, median (min-max)`,
    table(
      ['from payment to running', of(purchases.map(({ seconds }) => seconds))],
      [...steps.map(row), ['destroy', of(purchases.map(({ destroySeconds }) => destroySeconds))]],
    ),
    '',
    table([`configuring: its ${PARTS_TOLD} longest parts`, ''], parts.slice(0, PARTS_TOLD).map(row)),
    '',
    `${atOnceSeconds.length} bought at the same moment: all running after ${Math.max(...atOnceSeconds).toFixed(1)} s; each ${of(atOnceSeconds)} s`,
  ].join('\n');
}

/** The seconds of each name in all purchases, in the order in which the names first come; 0 where a purchase has none. */
export function byName(purchases: readonly Share[][]): [string, number[]][] {
  const names = new Set(purchases.flatMap((shares) => shares.map(({ name }) => name)));
  return [...names].map((name) => [
    name,
    purchases.map((shares) =>
      shares.reduce((sum, share) => (share.name === name ? sum + share.seconds : sum), 0),
    ),
  ]);
}
