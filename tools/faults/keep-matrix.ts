import type { Target } from './kill.ts';
import { hasViolations, type Matrix } from './matrix.ts';
import { chooseMoment, measurePhase, type PhaseName, strike } from './strikes.ts';

/** What an agent with snapshots goes through again and again. A drill and a revert need one. */
const CYCLE = ['snapshot', 'drill', 'revert'] as const satisfies PhaseName[];

/** What an agent goes through to measure those of them that are killed. */
export const keptLife = (moments: Matrix['options']['moments']): PhaseName[] =>
  CYCLE.some((phase) => (moments[phase] ?? 0) > 0) ? [...CYCLE] : [];

/** Kills in the middle of snapshots, drills and reverts of one agent, which is destroyed at the end. */
export async function strikeKept(matrix: Matrix, target: Target): Promise<void> {
  const { context, options, measured, report } = matrix;
  const agentId = `${target}-kept`;
  const moment = (phase: PhaseName, index: number) =>
    chooseMoment(measured[phase], target, index, options.moments[phase] ?? 0);
  const most = Math.max(...CYCLE.map((phase) => options.moments[phase] ?? 0));
  const cycles = Array.from({ length: most }, (_, index) =>
    CYCLE.map((phase) => ({ phase, atMs: moment(phase, index) })),
  ).filter((cycle) => cycle.some(({ atMs }) => atMs !== undefined));
  if (cycles.length === 0) return;
  for (const phase of ['provision', 'snapshot'] as const)
    await measurePhase(context, options, { phase, agentId });
  for (const { phase, atMs } of cycles.flat()) {
    if (atMs === undefined) continue;
    report.strikes.push(await strike(context, options, { target, phase, agentId, atMs }));
    if (hasViolations(report)) return;
  }
  await measurePhase(context, options, { phase: 'destroy', agentId });
}
