import type { Target } from './kill.ts';
import { hasViolations, type Matrix } from './matrix.ts';
import { chooseMoment, measurePhase, type PhaseName, strike } from './strikes.ts';

/** What becomes of a server that waits: each needs an agent of its own, because an agent has them once. */
const CLAIM_PHASES = ['claim', 'adopt'] as const satisfies PhaseName[];

/** The operations of them that are killed. */
export const claimLife = (moments: Matrix['options']['moments']) =>
  CLAIM_PHASES.filter((phase) => (moments[phase] ?? 0) > 0);

/** Kills in the middle of claims and of adoptions, each of an agent that is destroyed afterwards. */
export async function strikeClaims(matrix: Matrix, target: Target): Promise<void> {
  const { context, options, measured, report } = matrix;
  for (const phase of claimLife(options.moments)) {
    const count = options.moments[phase] ?? 0;
    for (let index = 0; index < count; index += 1) {
      const atMs = chooseMoment(measured[phase], target, index, count);
      if (atMs === undefined) continue;
      const agentId = `${target}-${phase}-${index}`;
      report.strikes.push(await strike(context, options, { target, phase, agentId, atMs }));
      if (hasViolations(report)) return;
      await measurePhase(context, options, { phase: 'destroy', agentId });
    }
  }
}
