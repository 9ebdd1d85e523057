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

function choose(tools: string, mode?: string) {
  const environment = { DATA_DIR: dataDir, AGENT_STACKS_MACHINE_TOOLS: tools, SANDBOX_MACHINES: mode };
  return chooseMachines(readConfig(environment) as SandboxConfig, (line) => said.push(line));
}

test('a new installation gets real machines if they are set up, and simulated ones otherwise', async () => {
  expect(choose(prepared)).toBe('real');
  expect(await readFile(join(dataDir, 'sandbox-machines'), 'utf8')).toBe('real\n');
  await rm(join(dataDir, 'sandbox-machines'));
  expect(choose(lacking)).toBe('simulated');
});

test('an installation keeps its kind of machines, and names the other kind', () => {
  expect(choose(prepared, 'simulated')).toBe('simulated');
  expect(choose(prepared)).toBe('simulated');
  expect(said).toEqual([expect.stringContaining('stay simulated')]);
  expect(() => choose(prepared, 'real')).toThrow('created with simulated machines and keeps them');
});

test('an installation with real machines does not start without them', () => {
  choose(prepared);
  expect(() => choose(lacking)).toThrow('they need root. Set them up once with: npm run machines');
  expect(() => choose(prepared, 'simulated')).toThrow('created with real machines');
});

test('an installation of a version without real machines has simulated ones', async () => {
  expect(readMachineKind(dataDir)).toBeUndefined();
  await writeFile(join(dataDir, 'secrets.json'), '{}');
  expect(choose(prepared)).toBe('simulated');
});
