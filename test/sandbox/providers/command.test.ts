import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { command, runCommand } from '../../../sandbox/providers/command/command.ts';
import { processIdentity } from '../../../src/processes/alive.mjs';

const client = { environment: { PATH: process.env.PATH!, INHERITED: 'yes' }, mayRun: () => true };

function contextWith(signal = new AbortController().signal) {
  const lines: string[] = [];
  return { signal, name: 'configure', showStatus: (line: string) => lines.push(line), lines };
}

async function create(inputs: Record<string, unknown>) {
  const { id, state } = await command.create(client, inputs, contextWith());
  return { id, ...state } as { id: string; stdout: string; stderr: string };
}

test('runs create with its environment, input and folder', async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'command-')));
  const script = 'echo "$INHERITED $OWN"; pwd; cat; echo warned >&2';
  const done = await create({ create: script, dir: folder, stdin: 'given', environment: { OWN: 'mine' } });
  expect(done.stdout).toBe(`yes mine\n${folder}\ngiven`);
  expect(done.stderr).toBe('warned');
  expect(done.id).toMatch(/^configure[0-9a-f]{8}$/);
  await rm(folder, { recursive: true });
});

test('inherits nothing of this process except what is passed', async () => {
  process.env.NOT_FOR_COMMANDS = 'x';
  expect((await create({ create: 'echo "[$NOT_FOR_COMMANDS]"' })).stdout).toBe('[]');
  delete process.env.NOT_FOR_COMMANDS;
});

test('another interpreter can be set', async () => {
  const done = await create({ create: 'console.log(1 + 1)', interpreter: [process.execPath, '-e'] });
  expect(done.stdout).toBe('2');
});

test('a failed script’s error has its exit, its command and its output', async () => {
  await expect(create({ create: 'echo "out"; echo err >&2; exit 3' })).rejects.toThrow(
    /^exit status 3: running "echo \\"out\\"; echo err >&2; exit 3":\n(out\nerr|err\nout)\n$/,
  );
  await expect(create({ create: 'true', interpreter: ['/no/such/program'] })).rejects.toThrow('ENOENT');
  await expect(create({ create: 'kill -9 $$' })).rejects.toThrow('signal: SIGKILL: running');
});

test('update runs update, or create without one, and gets the previous output', async () => {
  const state = { stdout: 'before', stderr: 'warned' };
  const print = 'echo "$PULUMI_COMMAND_STDOUT/$PULUMI_COMMAND_STDERR"';
  const change = (inputs: Record<string, unknown>) =>
    command.update(client, 'id', { oldInputs: {}, state, inputs }, contextWith());
  expect(await change({ create: 'echo no', update: print })).toMatchObject({
    stdout: 'before/warned',
    stderr: '',
  });
  expect(await change({ create: print })).toMatchObject({ stdout: 'before/warned' });
  expect(await change({ create: print, addPreviousOutputInEnv: false })).toMatchObject({ stdout: '/' });
  expect(await change({})).toMatchObject(state);
});

test('delete runs the recorded script with the recorded environment', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'command-'));
  const state = {
    delete: 'echo "$OLD $PULUMI_COMMAND_STDOUT" > deleted',
    dir: folder,
    environment: { OLD: 'old' },
  };
  await command.delete(client, 'id', { ...state, stdout: 'printed' }, contextWith());
  expect(await readFile(join(folder, 'deleted'), 'utf8')).toBe('old printed\n');
  await command.delete(client, 'id', { create: 'false' }, contextWith());
  await rm(folder, { recursive: true });
});

test.each([
  [undefined, ['out', 'err']],
  ['stdoutAndStderr', ['out', 'err']],
  ['stdout', ['out']],
  ['stderr', ['err']],
  ['none', []],
])('logging %s shows the right output', async (logging, shown) => {
  const context = contextWith();
  await command.create(client, { create: 'echo out; echo err >&2', logging }, context);
  expect(context.lines.sort()).toEqual([...shown].sort());
});

test('a long line is complete and does not block the command', async () => {
  const done = await create({ create: 'head -c 300000 /dev/zero | tr "\\0" x' });
  expect(done.stdout).toHaveLength(300_000);
});

test('an abort kills the command and everything it started', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'command-'));
  const pids = join(folder, 'pids');
  const aborting = new AbortController();
  const script = `(trap "" TERM; echo $$ >> ${pids}; sleep 100 & echo $! >> ${pids}; wait) & wait`;
  const running = command.create(client, { create: script }, contextWith(aborting.signal));
  const started = async () =>
    (await readFile(pids, 'utf8').catch(() => '')).trim().split('\n').filter(Boolean);
  await expect.poll(async () => (await started()).length).toBe(2);
  aborting.abort(new Error('context canceled'));
  await expect(running).rejects.toThrow('context canceled: running');
  for (const pid of await started()) await expect.poll(() => processIdentity(Number(pid))).toBeNull();
  await rm(folder, { recursive: true });
});

test('the output is secret if one of the inputs is', () => {
  expect([...command.secretOutputs!(new Set())]).toEqual([]);
  expect([...command.secretOutputs!(new Set(['environment']))]).toEqual(['environment', 'stdout', 'stderr']);
});

test('refuses unsupported inputs', () => {
  const { failures } = command.check({ assetPaths: ['*'], logging: 'loud' }, {}, { name: 'c', suffix: '' });
  expect(failures!.map(({ property }) => property)).toEqual(['assetPaths', 'logging']);
});

test('the run function runs a command without a resource', async () => {
  expect(await runCommand(client, { command: 'echo hi' }, contextWith())).toMatchObject({
    stdout: 'hi',
    stderr: '',
  });
});
