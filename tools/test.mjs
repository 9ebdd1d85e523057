// npm test [-- vitest options]: sets up what the tests need and runs them. The last line has the counts.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { say } from '../src/processes/terminal-text.mjs';
import { pathPastPythonShim } from './setup/python-shim.mjs';
import { run } from './setup/run.mjs';
import { root, setUp } from './setup/set-up.mjs';
import { summarize } from './test-summary.mjs';

const env = await setUp({
  tools: [
    'pulumi',
    'ansible',
    'chromium',
    'hetzner-client',
    'moto',
    'schemathesis',
    'ansible-lint',
    'shellcheck',
    'machines',
    'github-tools',
    'promtool',
    'packaging',
    'pgbouncer',
  ],
});
env.PATH = await pathPastPythonShim({ env, run });
const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-record-'));
const recordPath = join(folder, 'record.json');
const child = spawn(
  join(root, 'node_modules/.bin/node'),
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    `--reporter=${join(root, 'tools/test-report.mjs')}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, env: { ...env, AGENT_STACKS_TEST_RECORD: recordPath }, stdio: 'inherit' },
);
// The terminal sends Ctrl-C to vitest too; wait while it stops what it started.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
/** @type {number | null} */
const exitCode = await new Promise((resolve) => {
  child.once('error', () => resolve(null));
  child.once('exit', resolve);
});
const { lines, ok } = summarize(readRecord(), { exitCode, strict: env.CI === 'true' });
rmSync(folder, { recursive: true });
say(lines.join('\n'));
process.exitCode = ok ? 0 : 1;

/** @returns {import('./test-report.mjs').TestRecord | null} */
function readRecord() {
  try {
    return JSON.parse(readFileSync(recordPath, 'utf8'));
  } catch {
    return null;
  }
}
