import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError } from '../../src/config/config.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { childEnvironment, useOwnEnvironment } from '../../src/config/process-environment.ts';
import { runKillMatrix, TARGETS } from './kill-matrix.ts';
import type { Violation } from './model.ts';
import { playScenarios } from './play-scenarios.ts';
import { runSuite } from './suite.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    json: { type: 'string' },
    moments: { type: 'string', default: '30' },
    matrix: { type: 'boolean', default: false },
    scenarios: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

const FOUND = [
  'CACHE_DIR',
  'AGENT_STACKS_PULUMI',
  'AGENT_STACKS_ANSIBLE',
  'AGENT_STACKS_ACT',
  'AGENT_STACKS_MACHINE_TOOLS',
];
const reader = new EnvironmentReader(process.env);
const environment = childEnvironment(reader, []);
if (reader.problems.length > 0) throw new ConfigError(reader.problems.join('\n'));
useOwnEnvironment(process.env, environment);
/** What the set-up has found, and the environment of whatever is started. */
const tools = { ...environment, ...reader.pick(FOUND) };
const say = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);

/** What each way of running this comes to. */
interface Outcome {
  report: object;
  violations: Violation[];
  /** What a person needs to look into it. */
  hint: string;
}

async function playRandomly(): Promise<Outcome> {
  const report = await runSuite({
    rounds: Number(values.rounds),
    seed: Number(values.seed),
    workers: Number(values.workers),
    tools,
    say,
  });
  const hint = `Seed ${report.seed}, round ${report.rounds}. What was seen is in ${report.dump}`;
  return { report, violations: report.violations, hint };
}

async function playAllScenarios(): Promise<Outcome> {
  const only = values.only?.split(',');
  const report = await playScenarios({ only, long: !values.short, tools, say });
  const dumps = report.flatMap((one) => (one.dump === undefined ? [] : [one.dump]));
  return {
    report,
    violations: report.flatMap((one) => one.violations),
    hint: `What was seen is in ${dumps.join(', ')}`,
  };
}

async function playMatrix(): Promise<Outcome> {
  const targets = TARGETS.filter(
    (target) => values.only === undefined || values.only.split(',').includes(target),
  );
  const moments = Number(values.moments);
  const report = await runKillMatrix({
    targets,
    provisions: moments,
    destroys: Math.ceil(moments / 2),
    tools,
    say,
  });
  const violations = report.strikes.flatMap((strike) => strike.violations);
  return { report, violations, hint: `What was seen is in ${report.dumps.join(', ')}` };
}

const { report, violations, hint } = await (values.matrix
  ? playMatrix()
  : values.scenarios
    ? playAllScenarios()
    : playRandomly());
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(report, null, 2));
console.log(JSON.stringify(report, null, 2));
for (const { invariant, detail } of violations) console.error(`Violated: ${invariant}: ${detail}`);
if (violations.length > 0) console.error(hint);
process.exit(violations.length > 0 ? 1 : 0);
