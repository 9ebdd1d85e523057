import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStage, type Stage } from '../../../tools/faults/agent-run.ts';
import { playScenario } from '../../../tools/faults/play-scenarios.ts';
import { SCENARIOS } from '../../../tools/faults/scenarios.ts';
import { lacking, toolEnvironment } from './tools.ts';

/** The rest takes longer: `npm run faults -- --scenarios`. */
const SHORT = ['dropped-answer', 'action-error', 'delete-fails', 'worker-stalls', 'three-failures'];

let stage: Stage | undefined;
beforeAll(async () => {
  if (lacking() !== undefined) return;
  stage = await openStage(toolEnvironment());
  await stage.installation.startHost('api');
}, 120_000);
afterAll(async () => {
  await stage?.installation.stop();
  await stage?.installation.remove();
}, 120_000);

test.for(
  SCENARIOS.filter(({ name }) => SHORT.includes(name)).map((scenario) => [scenario.title, scenario] as const),
)('%s', { timeout: 300_000 }, async ([, scenario], { skip }) => {
  skip(stage === undefined, lacking());
  const report = await playScenario(stage!, scenario, false);
  expect(report.violations, `what was seen is in ${report.dump}`).toEqual([]);
  // Nothing that a person is told is Pulumi's or Node's inner life.
  for (const line of report.told)
    expect(line).not.toMatch(/Unhandled exception|serializing property|\n\s+at |urn:pulumi/);
});
