import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { workflowUrl } from '../support/workflow.ts';

const folder = fileURLToPath(new URL('.', workflowUrl));
const files = readdirSync(folder);
const actionlint = process.env.AGENT_STACKS_ACTIONLINT || undefined;
const shellcheck = process.env.AGENT_STACKS_SHELLCHECK || '';

test('actionlint finds nothing in the workflows', ({ skip }) => {
  skip(actionlint === undefined, 'actionlint could not be set up: no download and no Go');
  const { status, stdout, stderr } = spawnSync(
    actionlint!,
    // With shellcheck it looks at what shell there is in steps, too.
    ['-shellcheck', shellcheck, ...files.map((file) => join(folder, file))],
    { encoding: 'utf8' },
  );
  expect(stdout + stderr).toBe('');
  expect(status).toBe(0);
});

test.for(files)('%s: actions are pinned by digest, with the version beside it', (file) => {
  const uses = readFileSync(join(folder, file), 'utf8').match(/^.*\buses:.*$/gm) ?? [];
  for (const line of uses) expect(line).toMatch(/uses: [\w-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

test.for(files)('%s: no expression of a run is interpolated into a script', (file) => {
  const text = readFileSync(join(folder, file), 'utf8');
  const scripts = text.match(/^( *)run: \|\n(?:\1 +.*\n|\n)+/gm) ?? [];
  const lines = text.match(/^ *run: [^|].*$/gm) ?? [];
  expect(scripts.length + lines.length).toBeGreaterThan(0);
  for (const script of [...scripts, ...lines]) expect(script).not.toContain('${{');
});

test.for(files)('%s: the steps’ shell is in files', (file) => {
  const runs = readFileSync(join(folder, file), 'utf8').match(/^ {6,}(?:- )?run:.*$/gm) ?? [];
  const command =
    /run: (?:(?:exec )?bash \.github\/scripts\/[a-z-]+\.sh( "\$PPID")?|node tools\/runner\.mjs( --set-up)?)$/;
  expect(runs.length).toBeGreaterThan(0);
  for (const run of runs) expect(run).toMatch(command);
});

test('provision-agent.yml has exactly the four inputs, all texts, a limit of 15 minutes and the least permissions', () => {
  const text = readFileSync(workflowUrl, 'utf8');
  const inputs = /workflow_dispatch:\n {4}inputs:\n((?: {6}.*\n)+)/.exec(text)![1]!;
  expect([...inputs.matchAll(/^ {6}(\w+):$/gm)].map(([, name]) => name)).toEqual([
    'job_id',
    'agent_id',
    'region',
    'callback_url',
  ]);
  expect(inputs.match(/type: string/g)).toHaveLength(4);
  expect(text).toMatch(/^ {4}timeout-minutes: 15$/m);
  expect(text).toMatch(/^permissions:\n {2}contents: read\n\n/m);
  expect(text).not.toMatch(/cancel-in-progress: true/);
});
