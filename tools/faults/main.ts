import { writeFileSync } from 'node:fs';
import { ConfigError } from '../../src/config/config-error.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { childEnvironment, useOwnEnvironment } from '../../src/config/process-environment.ts';
import { errorMessage } from '../../src/errors.ts';
import { TARGETS } from './kill.ts';
import { runKillMatrix } from './kill-matrix.ts';
import type { Violation } from './model.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { runScenarios } from './run-scenarios.ts';
import type { PhaseName } from './strikes.ts';
import { runSuite } from './suite.ts';
import { runYear } from './year.ts';

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  console.log(USAGE);
  process.exit(0);
}
const values = chosenOptions();

/** Ends the process with the usage if the arguments are invalid. */
function chosenOptions(): Options {
  try {
    return readOptions(args);
  } catch (error) {
    console.error(`${errorMessage(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

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
/** The tools that the set-up found, and the environment of all child processes. */
const tools = { ...environment, ...reader.pick(FOUND) };
const say = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);

/** The result of any mode of this program. */
interface Outcome {
  report: object;
  violations: Violation[];
  /** Where to start looking into it. */
  hint: string;
}

async function runRandomly(): Promise<Outcome> {
  const report = await runSuite({
    rounds: values.rounds,
    seed: values.seed,
    workers: values.workers,
    pool: values.pool,
    tools,
    say,
  });
  const hint = `Seed ${report.seed}, round ${report.rounds}. What was seen is in ${report.dump}`;
  return { report, violations: report.violations, hint };
}

async function runChosenScenarios(): Promise<Outcome> {
  const { only } = values;
  const report = await runScenarios({ only, long: !values.short, tools, say });
  const dumps = report.flatMap((one) => (one.dump === undefined ? [] : [one.dump]));
  return {
    report,
    violations: report.flatMap((one) => one.violations),
    hint: `What was seen is in ${dumps.join(', ')}`,
  };
}

async function runChosenYear(): Promise<Outcome> {
  const { subscriptions, days, seed, loss } = values;
  const report = await runYear({ subscriptions, days, seed, loss, tools, say });
  const hint = `Seed ${report.seed}, ${report.nights} nights. What was seen is in ${report.dump}`;
  return { report, violations: report.violations, hint };
}

async function runMatrix(): Promise<Outcome> {
  const targets = TARGETS.filter((target) => values.only === undefined || values.only.includes(target));
  // A destroy is shorter than the others.
  const count = (phase: PhaseName) => (phase === 'destroy' ? Math.ceil(values.moments / 2) : values.moments);
  const moments = Object.fromEntries(values.operations.map((phase) => [phase, count(phase)]));
  const report = await runKillMatrix({ targets, moments, tools, say });
  const violations = report.strikes.flatMap((strike) => strike.violations);
  return { report, violations, hint: `What was seen is in ${report.dumps.join(', ')}` };
}

function runChosen(): Promise<Outcome> {
  if (values.year) return runChosenYear();
  if (values.matrix) return runMatrix();
  return values.scenarios ? runChosenScenarios() : runRandomly();
}

const { report, violations, hint } = await runChosen();
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(report, null, 2));
console.log(JSON.stringify(report, null, 2));
for (const { invariant, detail } of violations) console.error(`Violated: ${invariant}: ${detail}`);
if (violations.length > 0) console.error(hint);
process.exit(violations.length > 0 ? 1 : 0);
