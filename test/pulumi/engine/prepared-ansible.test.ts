import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLog } from '../../../src/log.ts';
import { type PreparedAnsible, prepareAnsible } from '../../../src/pulumi/engine/prepared-ansible.ts';

let folder: string;
let prepared: PreparedAnsible | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prepared-'));
});
afterEach(async () => {
  await prepared?.stop();
  rmSync(folder, { recursive: true });
});

/** Starts a script in the place of ansible/configure, which notes its process id. */
function prepare(script: string): PreparedAnsible {
  const path = join(folder, 'configure');
  writeFileSync(path, `#!/bin/sh\necho $$ $1 $ANSIBLE_BIN $TAG >>${folder}/starts\n${script}\n`, {
    mode: 0o755,
  });
  prepared = prepareAnsible({
    path,
    ansibleBin: '/opt/bin',
    environment: { PATH: process.env.PATH ?? '' },
    processTags: { TAG: 'own' },
    log: createLog(join(folder, 'log')),
    pauseMs: 10,
  });
  return prepared;
}

const starts = () =>
  readFileSync(join(folder, 'starts'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
const isAlive = (pid: string) => {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
};
const told = () => {
  const path = join(folder, 'log');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};
const SERVE = 'echo /run/socket; exec cat >/dev/null';

it('names the socket to runs once it is ready, and ends with its standard input', async () => {
  const { environment, stop } = prepare(SERVE);
  expect(environment()).toEqual({});
  await expect.poll(environment).toEqual({ AGENT_PREPARED: '/run/socket' });
  const [[pid, ...words]] = starts() as [string[]];
  expect(words).toEqual(['serve', '/opt/bin', 'own']);
  await stop();
  expect(isAlive(pid!)).toBe(false);
  expect(environment()).toEqual({});
  expect(starts()).toHaveLength(1);
});

it('starts it again when it has ended, and names none until then', async () => {
  const { environment } = prepare(`test -e ${folder}/go && { ${SERVE}; }; echo /run/first; exec sleep 600`);
  await expect.poll(environment).toEqual({ AGENT_PREPARED: '/run/first' });
  const [[pid]] = starts() as [string[]];
  writeFileSync(join(folder, 'go'), '');
  process.kill(Number(pid), 'SIGKILL');
  await expect.poll(environment).toEqual({ AGENT_PREPARED: '/run/socket' });
});

it('where it cannot start, runs do without, and the log says so', async () => {
  const { environment } = prepare('exit 1');
  await expect.poll(() => starts().length).toBeGreaterThan(2);
  expect(environment()).toEqual({});
  expect(told()).toContain('ansible.not_prepared');
});

it('where its program is missing, too', async () => {
  const { environment, stop } = prepare('exit 1');
  rmSync(join(folder, 'configure'));
  await expect.poll(told).toContain('ansible.not_prepared');
  expect(environment()).toEqual({});
  await stop();
});

it('tries again if the process cannot even be started', async () => {
  prepared = prepareAnsible({
    // Node throws at once.
    path: 'configure\0',
    ...{ ansibleBin: undefined, environment: {}, processTags: {}, pauseMs: 1 },
    log: createLog(join(folder, 'log')),
  });
  await expect.poll(() => told().match(/ansible.not_prepared/g)?.length).toBeGreaterThan(1);
  expect(prepared.environment()).toEqual({});
});
