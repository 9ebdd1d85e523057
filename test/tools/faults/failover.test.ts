import { expect, test } from 'vitest';
import { runScenario } from '../../../tools/faults/run-scenarios.ts';
import { closeContext } from '../../../tools/faults/scenario-context.ts';
import { SCENARIOS } from '../../../tools/faults/scenarios.ts';
import { lacking, toolEnvironment } from './tools.ts';

const scenario = SCENARIOS.find(({ name }) => name === 'failover')!;

// All steps of a provision: `npm run faults -- --scenarios --only failover`.
test(scenario.title, { timeout: 300_000 }, async ({ skip }) => {
  skip(lacking() !== undefined, lacking());
  const context = await scenario.open!(toolEnvironment());
  try {
    await context.installation.startHost('api');
    const report = await runScenario(context, scenario, false);
    expect(report.violations, `what was seen is in ${report.dump}`).toEqual([]);
    expect(report.figures.failovers).toBe(3);
  } finally {
    await closeContext(context);
  }
});
