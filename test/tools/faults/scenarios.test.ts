import { afterAll, beforeAll, expect, test } from 'vitest';
import { runScenario } from '../../../tools/faults/run-scenarios.ts';
import { closeContext, createContext, type ScenarioContext } from '../../../tools/faults/scenario-context.ts';
import { SCENARIOS } from '../../../tools/faults/scenarios.ts';
import { lacking, toolEnvironment } from './tools.ts';

/** The others take longer: `npm run faults -- --scenarios`. */
const SHORT = ['dropped-answer', 'action-error', 'delete-fails', 'worker-stalls', 'three-failures'];

let context: ScenarioContext | undefined;
beforeAll(async () => {
  if (lacking() !== undefined) return;
  // None of these interrupts Ansible, whose check of the playbook is most of a simulated configuration.
  context = await createContext(toolEnvironment(), { environment: { SANDBOX_PLAYBOOK_CHECK: 'once' } });
  await context.installation.startHost('api');
}, 120_000);
afterAll(async () => {
  if (context !== undefined) await closeContext(context);
}, 120_000);

test.for(
  SCENARIOS.filter(({ name }) => SHORT.includes(name)).map((scenario) => [scenario.title, scenario] as const),
)('%s', { timeout: 300_000 }, async ([, scenario], { skip }) => {
  skip(context === undefined, lacking());
  const report = await runScenario(context!, scenario, false);
  expect(report.violations, `what was seen is in ${report.dump}`).toEqual([]);
  // Nothing reported to people exposes Pulumi's or Node's internals.
  for (const line of report.told)
    expect(line).not.toMatch(/Unhandled exception|serializing property|\n\s+at |urn:pulumi/);
});
