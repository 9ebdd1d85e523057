import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { RUN_TAG } from '../../../sandbox/github/act.ts';
import { findTagged } from '../../../sandbox/processes.ts';
import { eventually } from '../../support/eventually.ts';
import {
  act,
  makeCheckout,
  makeFolder,
  makeWorkflow,
  noAct,
  optionsFor,
  startGithub,
} from '../../support/sandbox-github.ts';
import { filesBelow } from '../../support/secret-probes.ts';

beforeEach(({ skip }) => {
  skip(act === undefined, noAct);
});

const processesIn = (dir: string) => findTagged(RUN_TAG, (folder) => folder.startsWith(dir));

test('a dispatched run executes the workflow of the checkout and reports its conclusion', async () => {
  const options = await optionsFor(await makeWorkflow('test "$JOB" = good && echo "for $JOB"'));
  const github = await startGithub({ options });
  const [good, bad] = [await github.run({ job_id: 'good' }), await github.run({ job_id: 'bad' })];
  expect(await github.until(good, 'completed')).toMatchObject({ conclusion: 'success' });
  expect(await github.until(bad, 'completed')).toMatchObject({ conclusion: 'failure' });
  expect(await github.getLog(good)).toMatch(
    /\| for good\n[\s\S]*\| cleaned up\n[\s\S]*orphan processes: none\n$/,
  );
  // Only the log of a run remains, readable by its owner.
  await expect(stat(join(options.dir, 'runs', String(good)))).rejects.toThrow('ENOENT');
  expect((await stat(join(options.logDir, `${good}.log`))).mode & 0o777).toBe(0o600);
  expect((await stat(options.logDir)).mode & 0o777).toBe(0o700);
});

test('secrets reach the steps, but neither the log nor an argument', async () => {
  const report = join(await makeFolder(), 'report');
  const script = `echo "it is $SECRET"\ncat /proc/[0-9]*/cmdline > '${report}' 2> /dev/null || true`;
  const checkout = await makeWorkflow(script);
  const options = await optionsFor(checkout, {
    secrets: { CALLBACK_SECRET: `it's a "secret" of $HOME, \\, ${'#'} and ü` },
  });
  const github = await startGithub({ options });
  const id = await github.run();
  expect(await github.until(id, 'completed')).toMatchObject({ conclusion: 'success' });
  const log = await github.getLog(id);
  expect(log).toContain('it is ***');
  expect(log).not.toContain('of $HOME');
  const argumentLists = await readFile(report, 'utf8');
  expect(argumentLists).toContain('--secret-file');
  expect(argumentLists).not.toContain('of $HOME');
});

test('no file contains a secret during a run', async () => {
  const folder = await makeFolder();
  const script = `touch '${folder}/runs'\nuntil [ -e '${folder}/go' ]; do sleep 0.1; done; test "\${#SECRET}" = 19`;
  const options = await optionsFor(await makeWorkflow(script));
  const github = await startGithub({ options });
  const id = await github.run();
  await eventually('its step runs', () => stat(join(folder, 'runs')).then(Boolean, () => false), {
    withinSeconds: 20,
  });
  const files = filesBelow(options.dir, /^$/);
  expect(files.map(({ path }) => path)).toContain(join(options.dir, 'runs', String(id), 'event.json'));
  const holding = files.filter(({ text }) => text.includes('the callback secret'));
  expect(holding.map(({ path }) => path)).toEqual([]);
  await writeFile(join(folder, 'go'), '');
  expect(await github.until(id, 'completed')).toMatchObject({ conclusion: 'success' });
});

test('a cancelled run stops its step, cleans up, and leaves no process', async () => {
  const options = await optionsFor(await makeWorkflow('setsid nohup sleep 300 < /dev/null & sleep 300'));
  const github = await startGithub({ options });
  const id = await github.run();
  await eventually('its step runs', () => processesIn(options.dir).length >= 4, { withinSeconds: 20 });
  expect((await github.call('POST', `/runs/${id}/cancel`)).status).toBe(202);
  expect(await github.until(id, 'completed')).toMatchObject({ conclusion: 'cancelled' });
  expect(await github.getLog(id)).toMatch(/\| cleaned up\n[\s\S]*orphan processes: \d/);
  expect(processesIn(options.dir)).toEqual([]);
});

test('a run that exceeds its time limit is stopped', async () => {
  const options = await optionsFor(await makeWorkflow('sleep 300'));
  const github = await startGithub({ options, settings: { githubRunSeconds: 1 } });
  const id = await github.run();
  expect(await github.until(id, 'completed')).toMatchObject({ conclusion: 'timed_out' });
});

test('only as many runs as there are runners run at once; the others wait', async () => {
  const folder = await makeFolder();
  const script = `touch '${folder}'/"$JOB"\nuntil [ -e '${folder}/go' ]; do sleep 0.1; done`;
  const github = await startGithub({ options: await optionsFor(await makeWorkflow(script)) });
  const ids = [];
  for (const job_id of ['1', '2', '3']) ids.push(await github.run({ job_id }));
  for (const id of ids.slice(0, 2)) await github.until(id, 'in_progress');
  for (const job of ['1', '2'])
    await eventually(`${job} runs`, () => stat(join(folder, job)).then(Boolean, () => false), {
      withinSeconds: 20,
    });
  expect((await github.call('GET', `/runs/${ids[2]}`)).body.status).toBe('queued');
  await writeFile(join(folder, 'go'), '');
  for (const id of ids) expect(await github.until(id, 'completed')).toMatchObject({ conclusion: 'success' });
});

test('when the sandbox stops, the run in progress is cancelled and the waiting one stays queued', async () => {
  const options = await optionsFor(await makeWorkflow('sleep 300'));
  const github = await startGithub({ options, settings: { githubRunsAtOnce: 1 } });
  const [first, second] = [await github.run(), await github.run()];
  await eventually('its step runs', () => processesIn(options.dir).length >= 3, { withinSeconds: 20 });
  await github.stopRunner();
  expect(processesIn(options.dir)).toEqual([]);
  expect((await github.call('GET', `/runs/${first}`)).body).toMatchObject({ conclusion: 'cancelled' });
  expect((await github.call('GET', `/runs/${second}`)).body).toMatchObject({ status: 'queued' });
});

test('a workflow that uses an action without a stand-in does not start: nothing is downloaded', async () => {
  const workflow = '.github/workflows/provision-agent.yml';
  const checkout = await makeCheckout({
    [workflow]:
      'on: workflow_dispatch\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: a/b@v1\n',
  });
  const github = await startGithub({ options: await optionsFor(checkout) });
  const id = await github.run();
  expect(await github.until(id, 'completed')).toMatchObject({ conclusion: 'startup_failure' });
  expect(await github.getLog(id)).toContain('no stand-in for the action a/b');
});
