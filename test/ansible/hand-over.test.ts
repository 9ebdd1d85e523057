import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';

const roles = join(import.meta.dirname, '../../ansible/roles');
const program = readFileSync(join(roles, 'agent/files/hand-over.py'), 'utf8');
const form = readFileSync(join(roles, 'agent/templates/tenant.j2'), 'utf8');
/** The file as the playbook writes it. */
const tenant = (agentId: string) => form.replace('{{ agent_id }}', agentId);

let root: string;
const at = (path: string) => join(root, path);
const said = () => (existsSync(at('said')) ? readFileSync(at('said'), 'utf8').trim().split('\n') : []);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hand-over-'));
  for (const folder of ['etc/agent', 'etc/ssh', 'run', 'bin']) mkdirSync(at(folder), { recursive: true });
  writeFileSync(at('etc/agent/tenant'), tenant('slot-1'), { mode: 0o600 });
  writeFileSync(at('etc/ssh/agent_host_ed25519_key'), 'old\n', { mode: 0o600 });
  writeFileSync(at('etc/ssh/agent_host_ed25519_key.pub'), 'old pub\n');
  systemctl('exit 0');
});
afterEach(() => rmSync(root, { recursive: true }));

/** Takes the place of systemctl, and records how it was called. */
function systemctl(then: string): void {
  writeFileSync(at('bin/systemctl'), `#!/bin/sh\necho "$@" >>${at('said')}\n${then}\n`);
  chmodSync(at('bin/systemctl'), 0o755);
}

/** Runs the program on files below `root`. */
async function run(input: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = at('hand-over.py');
  writeFileSync(script, program.replaceAll('"/etc/', `"${root}/etc/`).replaceAll('"/run/', `"${root}/run/`));
  const child = spawn('python3', ['-I', '-S', script], { env: { PATH: `${at('bin')}:${process.env.PATH}` } });
  child.stdin.end(input);
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? -1))),
  ]);
  return { code, stdout, stderr };
}

const given = (agentId = 'a-1') =>
  `${JSON.stringify({ agentId, hostPrivateKey: 'new\n', hostPublicKey: 'new pub' })}\n`;

it('writes the agent’s id and host key as the playbook does, and tells both services', async () => {
  expect(await run(given())).toMatchObject({ code: 0, stdout: 'ready\ndone\n' });
  expect(readFileSync(at('etc/agent/tenant'), 'utf8')).toBe(tenant('a-1'));
  expect(readFileSync(at('etc/ssh/agent_host_ed25519_key'), 'utf8')).toBe('new\n');
  expect(readFileSync(at('etc/ssh/agent_host_ed25519_key.pub'), 'utf8')).toBe('new pub\n');
  const mode = (path: string) => statSync(at(path)).mode & 0o777;
  expect(mode('etc/agent/tenant')).toBe(0o600);
  expect(mode('etc/ssh/agent_host_ed25519_key')).toBe(0o600);
  expect(mode('etc/ssh/agent_host_ed25519_key.pub')).toBe(0o644);
  expect(said().toSorted()).toEqual(['reload ssh.service', 'restart agent.service']);
});

it('changes nothing when it is repeated', async () => {
  await run(given());
  rmSync(at('said'));
  expect(await run(given())).toMatchObject({ code: 0, stdout: 'ready\ndone\n' });
  expect(said()).toEqual([]);
});

it('tells the services again after a run that did not come to its end', async () => {
  systemctl('exit 1');
  expect(await run(given())).toMatchObject({ code: 1, stdout: 'ready\n' });
  systemctl('exit 0');
  rmSync(at('said'));
  expect(await run(given())).toMatchObject({ code: 0 });
  expect(said().toSorted()).toEqual(['reload ssh.service', 'restart agent.service']);
});

it.each([
  ['its input ends', ''],
  ['only half a line comes', given().slice(0, 40)],
  ['the id is malformed', given('A"\n1')],
])('changes nothing where %s', async (_what, input) => {
  expect((await run(input)).stdout).toBe('ready\n');
  expect(readFileSync(at('etc/agent/tenant'), 'utf8')).toBe(tenant('slot-1'));
  expect(readFileSync(at('etc/ssh/agent_host_ed25519_key'), 'utf8')).toBe('old\n');
  expect(said()).toEqual([]);
});

it('refuses a server that the playbook has not configured', async () => {
  writeFileSync(at('etc/agent/tenant'), '');
  expect(await run(given())).toMatchObject({ code: 1, stderr: expect.stringContaining('names no agent') });
});
