import { dump } from './dump.ts';
import type { Violation } from './model.ts';
import { becomeQuiet } from './quiet.ts';
import { closeContext, createContext, type ScenarioContext } from './scenario-context.ts';
import type { Finding } from './scenario-steps.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { takeSnapshot } from './snapshot.ts';

export interface ScenarioReport extends Finding {
  name: string;
  title: string;
  seconds: number;
  dump?: string;
}

interface Chosen {
  only: readonly string[] | undefined;
  long: boolean;
  tools: Record<string, string>;
  say(line: string): void;
}

/** Runs scenarios one after the other, on one installation except those that open their own. */
export async function runScenarios(options: Chosen): Promise<ScenarioReport[]> {
  const chosen = SCENARIOS.filter(({ name }) => options.only?.includes(name) ?? true);
  const shared = chosen.filter(({ open }) => open === undefined);
  const reports = shared.length === 0 ? [] : await runOn(await createContext(options.tools), shared, options);
  for (const scenario of chosen)
    if (scenario.open !== undefined)
      reports.push(...(await runOn(await scenario.open(options.tools), [scenario], options)));
  return reports;
}

/** Runs scenarios on an installation that is not started yet, and removes it. */
async function runOn(
  context: ScenarioContext,
  scenarios: readonly Scenario[],
  { long, say }: Chosen,
): Promise<ScenarioReport[]> {
  const reports: ScenarioReport[] = [];
  try {
    await context.installation.startHost('api');
    for (const scenario of scenarios) {
      const report = await runScenario(context, scenario, long);
      reports.push(report);
      say(
        `${scenario.name}: ${report.violations.length === 0 ? 'holds' : 'VIOLATED'} in ${report.seconds} s, ${JSON.stringify(report.figures)}`,
      );
      for (const line of [
        ...report.told,
        ...report.violations.map(({ invariant, detail }) => `! ${invariant}: ${detail}`),
      ])
        say(`    ${line}`);
    }
  } finally {
    await closeContext(context);
  }
  return reports;
}

export async function runScenario(
  context: ScenarioContext,
  scenario: Scenario,
  long: boolean,
): Promise<ScenarioReport> {
  const startedAt = Date.now();
  // Earlier work, such as a new installation's demo order, must not run into the faults injected now.
  await becomeQuiet(context, { workers: 1, timeoutSeconds: 120 });
  await setWorkers(context, scenario.workers);
  const { name, title } = scenario;
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  let finding: Finding;
  try {
    finding = await scenario.run(context, { agentId: name, long });
  } catch (error) {
    const violations: Violation[] = [
      { invariant: title, detail: error instanceof Error ? error.message : String(error) },
    ];
    finding = { violations, told: [], figures: {} };
  }
  const report: ScenarioReport = { name, title, seconds: seconds(), ...finding };
  if (finding.violations.length > 0)
    report.dump = await dump(context.installation, {
      report,
      snapshot: await takeSnapshot(context.installation, context.clouds).catch(() => null),
    });
  await context.clouds.clearFaults().catch(() => {});
  return report;
}

async function setWorkers({ installation }: ScenarioContext, count: number): Promise<void> {
  while (installation.workers.length < count) await installation.startWorker();
  for (const worker of installation.workers.slice(count)) await worker.stop();
}
