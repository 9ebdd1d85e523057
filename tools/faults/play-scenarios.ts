import { openStage, type Stage } from './agent-run.ts';
import { dump } from './dump.ts';

import type { Violation } from './model.ts';
import { becomeQuiet } from './quiet.ts';
import type { Finding } from './scenario-steps.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { takeSnapshot } from './snapshot.ts';

export interface ScenarioReport extends Finding {
  name: string;
  title: string;
  seconds: number;
  dump?: string;
}

/** Plays scenarios one after the other on an installation of their own. */
export async function playScenarios(options: {
  only: readonly string[] | undefined;
  long: boolean;
  tools: Record<string, string>;
  say(line: string): void;
}): Promise<ScenarioReport[]> {
  const chosen = SCENARIOS.filter(({ name }) => options.only?.includes(name) ?? true);
  const reports: ScenarioReport[] = [];
  const stage = await openStage(options.tools, 2);
  try {
    await stage.installation.startHost('api');
    for (const scenario of chosen) {
      const report = await playScenario(stage, scenario, options.long);
      reports.push(report);
      options.say(
        `${scenario.name}: ${report.violations.length === 0 ? 'holds' : 'VIOLATED'} in ${report.seconds} s, ${JSON.stringify(report.figures)}`,
      );
      for (const line of [
        ...report.told,
        ...report.violations.map(({ invariant, detail }) => `! ${invariant}: ${detail}`),
      ])
        options.say(`    ${line}`);
    }
  } finally {
    await stage.installation.stop();
    await stage.installation.remove();
  }
  return reports;
}

export async function playScenario(stage: Stage, scenario: Scenario, long: boolean): Promise<ScenarioReport> {
  const startedAt = Date.now();
  // What went on before, the demo order of a new installation among it, must not meet the faults that are ordered now.
  await becomeQuiet(stage, { workers: 1, timeoutSeconds: 120 });
  await setWorkers(stage, scenario.workers);
  const { name, title } = scenario;
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  let finding: Finding;
  try {
    finding = await scenario.play(stage, { agentId: name, long });
  } catch (error) {
    const violations: Violation[] = [
      { invariant: title, detail: error instanceof Error ? error.message : String(error) },
    ];
    finding = { violations, told: [], figures: {} };
  }
  const report: ScenarioReport = { name, title, seconds: seconds(), ...finding };
  if (finding.violations.length > 0)
    report.dump = await dump(stage.installation, {
      report,
      snapshot: await takeSnapshot(stage.installation, stage.clouds).catch(() => null),
    });
  await stage.clouds.clearFaults().catch(() => {});
  return report;
}

async function setWorkers({ installation }: Stage, count: number): Promise<void> {
  while (installation.workers.length < count) await installation.startWorker();
  for (const worker of installation.workers.slice(count)) await worker.stop();
}
