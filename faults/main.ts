import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runSuite } from './suite.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
});

const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'LANG',
  'TMPDIR',
  'CACHE_DIR',
  'AGENT_STACKS_PULUMI',
  'AGENT_STACKS_ANSIBLE',
];
const tools = Object.fromEntries(
  PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name]!]] : [])),
);
const say = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);

const report = await runSuite({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  workers: Number(values.workers),
  tools,
  say,
});
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(report, null, 2));
console.log(JSON.stringify(report, null, 2));
if (report.violations.length > 0) {
  for (const { invariant, detail } of report.violations) console.error(`Violated: ${invariant}: ${detail}`);
  console.error(`Seed ${report.seed}, round ${report.rounds}. What was seen is in ${report.dump}`);
}
process.exit(report.violations.length > 0 ? 1 : 0);
