import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chooseMachines, readMachineKind } from '../../../sandbox/host/machines.ts';
import { readConfig, type SandboxConfig } from '../../../src/config/config.ts';

const prepared = JSON.stringify({ base: '/b', headscale: '/h', tailscale: '/t', tailscaled: '/d' });
const lacking = JSON.stringify({ missing: ['they need root'] });

let dataDir: string;
let said: string[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'agent-stacks-kind-'));
  said = [];
});
afterEach(() => rm(dataDir, { recursive: true }));

function choose(tools: string, wish?: string) {
  const environment = { DATA_DIR: dataDir, AGENT_STACKS_MACHINE_TOOLS: tools, SANDBOX_MACHINES: wish };
  return chooseMachines(readConfig(environment) as SandboxConfig, (line) => said.push(line));
}

test('an installation begins with real machines where they are prepared, and with simulated ones elsewhere', async () => {
  expect(choose(prepared)).toBe('real');
  expect(await readFile(join(dataDir, 'sandbox-machines'), 'utf8')).toBe('real\n');
  await rm(join(dataDir, 'sandbox-machines'));
  expect(choose(lacking)).toBe('simulated');
});

test('it keeps what it was begun with, and says what else there is', () => {
  expect(choose(prepared, 'simulated')).toBe('simulated');
  expect(choose(prepared)).toBe('simulated');
  expect(said).toEqual([expect.stringContaining('stay simulated')]);
  expect(() => choose(prepared, 'real')).toThrow('created with simulated machines and keeps them');
});

test('one with real machines does not start where they are gone', () => {
  choose(prepared);
  expect(() => choose(lacking)).toThrow('they need root. Set them up once with: npm run machines');
  expect(() => choose(prepared, 'simulated')).toThrow('created with real machines');
});

test('one of a version that knew no others has simulated machines', async () => {
  expect(readMachineKind(dataDir)).toBeUndefined();
  await writeFile(join(dataDir, 'secrets.json'), '{}');
  expect(choose(prepared)).toBe('simulated');
});
