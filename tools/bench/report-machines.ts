import type { LeftOut, MachinesResult } from './machines.ts';
import type { Purchase, Share } from './purchase.ts';
import { spread, summarize } from './statistics.ts';
import { table } from './table.ts';

const PARTS_TOLD = 10;

/** Reports seconds by step, and the longest parts of the configuration. */
export function machinesText(result: MachinesResult | LeftOut): string {
  if ('leftOut' in result) return `Real machines: not measured: ${result.leftOut}`;
  const { purchases, withImage, atOnceSeconds } = result;
  return [
    purchasesText(`Real machines, ${purchases.length} bought one after the other`, purchases),
    '',
    `${atOnceSeconds.length} bought at the same moment: all running after ${Math.max(...atOnceSeconds).toFixed(1)} s; each ${toSpread(atOnceSeconds)} s`,
    '',
    purchasesText(`${withImage.length} made from an image, one after the other`, withImage),
  ].join('\n');
}

const toSpread = (values: number[]) => spread(summarize(values), 1);

function purchasesText(title: string, purchases: readonly Purchase[]): string {
  const row = ([name, values]: [string, number[]]) => [name, toSpread(values)];
  const steps = byName(purchases.map((purchase) => purchase.steps));
  const parts = byName(purchases.map((purchase) => purchase.configuring)).toSorted(
    ([, a], [, b]) => summarize(b).median - summarize(a).median,
  );
  const destroys = purchases.map(({ destroySeconds }) => destroySeconds);
  return [
    `${title}: seconds, median (min-max)`,
    table(
      ['from payment to running', toSpread(purchases.map(({ seconds }) => seconds))],
      [...steps.map(row), ['destroy', toSpread(destroys)]],
    ),
    '',
    table([`configuring: its ${PARTS_TOLD} longest parts`, ''], parts.slice(0, PARTS_TOLD).map(row)),
  ].join('\n');
}

/**
 * Collects the seconds of each name over all purchases, names in order of first appearance; 0 where a
 * purchase lacks one.
 */
export function byName(purchases: readonly Share[][]): [string, number[]][] {
  const names = new Set(purchases.flatMap((shares) => shares.map(({ name }) => name)));
  return [...names].map((name) => [
    name,
    purchases.map((shares) =>
      shares.reduce((sum, share) => (share.name === name ? sum + share.seconds : sum), 0),
    ),
  ]);
}
