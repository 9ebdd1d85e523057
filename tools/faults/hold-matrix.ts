import type { Target } from './kill.ts';
import type { Matrix } from './matrix.ts';
import { chooseMoment, measurePhase, type PhaseName, strike } from './strikes.ts';

/** What one agent goes through again and again; a suspend that only leads to a hibernate is not killed. */
const CYCLES: { phase: PhaseName; leadsOnly?: boolean }[][] = [
  [{ phase: 'suspend' }, { phase: 'resume' }],
  [{ phase: 'suspend', leadsOnly: true }, { phase: 'hibernate' }, { phase: 'wake' }],
];

/** What an agent goes through to measure the operations that are killed, in this order. */
export function heldLife(moments: Matrix['options']['moments']): PhaseName[] {
  const isKilled = CYCLES.filter((cycle) =>
    cycle.some(({ phase, leadsOnly }) => !leadsOnly && (moments[phase] ?? 0) > 0),
  );
  return isKilled.flat().map(({ phase }) => phase);
}

/** Kills in the middle of suspend, resume, hibernate and wake of one agent, which is destroyed at the end. */
export async function strikeHolds(matrix: Matrix, target: Target): Promise<void> {
  const { context, options, measured, report } = matrix;
  const agentId = `${target}-held`;
  const counts = CYCLES.flat().map(({ phase }) => options.moments[phase] ?? 0);
  const cycles = Array.from({ length: Math.max(...counts) }, (_, index) =>
    CYCLES.map((cycle) =>
      cycle.map(({ phase, leadsOnly = false }) => {
        const count = leadsOnly ? 0 : (options.moments[phase] ?? 0);
        return { phase, atMs: chooseMoment(measured[phase], target, index, count) };
      }),
    ),
  )
    .flat()
    .filter((cycle) => cycle.some(({ atMs }) => atMs !== undefined));
  if (cycles.length === 0) return;
  await measurePhase(context, options, { phase: 'provision', agentId });
  for (const { phase, atMs } of cycles.flat()) {
    if (atMs === undefined) await measurePhase(context, options, { phase, agentId });
    else {
      const struck = await strike(context, options, { target, phase, agentId, atMs });
      report.strikes.push(struck);
      if (struck.violations.length > 0) return;
    }
  }
  await measurePhase(context, options, { phase: 'destroy', agentId });
}
