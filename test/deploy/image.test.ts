import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../sandbox/host/free-port.ts';
import { readSandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';
import { buildImage, Container, imageTools } from './image-under-test.ts';

const USER = 10_001;

let container: Container;
let dataDir: string;
const lacking = 'missing' in imageTools ? imageTools.missing : undefined;

// The first build on a machine downloads what it installs; later ones copy our own files alone.
beforeAll(() => {
  if (lacking !== undefined) return;
  buildImage();
  container = new Container();
  dataDir = mkdtempSync(join(tmpdir(), 'agent-stacks-image-'));
  chownSync(dataDir, USER, USER);
}, 900_000);
afterAll(() => {
  if (lacking !== undefined) return;
  container.remove();
  rmSync(dataDir, { recursive: true });
}, 60_000);
beforeEach(({ skip }) => skip(lacking !== undefined, lacking));

test('the image says how it runs, and knows no secret', () => {
  const { User, Env, Healthcheck, Volumes, Entrypoint } = container.settings;
  expect(User).toBe(`${USER}:${USER}`);
  expect(Healthcheck.Test).toEqual(['CMD', 'node', 'deploy/image/healthy.mjs']);
  expect(Object.keys(Volumes)).toEqual(['/var/lib/agent-stacks']);
  expect(Entrypoint[0]).toBe('/usr/bin/tini');
  expect(Env.map((variable) => variable.split('=')[0]).join()).not.toMatch(/SECRET|TOKEN|PASSPHRASE|URL/);
  expect(container.history).not.toMatch(/certificates\.crt/);
});

test('it has what the service needs, and nothing for its development', () => {
  const files = container.mount();
  const at = (path: string) => join(files, 'opt/agent-stacks', path);
  for (const path of ['src/main.ts', 'programs/bin/pulumi', 'programs/bin/tailscaled', 'ansible/site.yml'])
    expect(existsSync(at(path)), path).toBe(true);
  for (const path of [
    'test',
    '.git',
    '.data',
    'tools',
    'node_modules/vitest',
    'node_modules/@biomejs',
    'node_modules/playwright-core',
  ])
    expect(existsSync(at(path)), path).toBe(false);
  expect(readdirSync(at('docs'))).toEqual(['tailnet-policy.hujson']);
  // Its user cannot change the program.
  expect(statSync(at('src/main.ts'))).toMatchObject({ uid: 0, gid: 0 });
  const writable = spawnSync('find', [files, '-xdev', '-type', 'f', '-perm', '/0002'], { encoding: 'utf8' });
  expect(writable.stdout).toBe('');
});

test('an order becomes a running agent in it, without root', { timeout: 240_000 }, async () => {
  const port = await freePort(null);
  const environment = {
    ...{ MODE: 'sandbox', HOST: '127.0.0.1', PORT: String(port), SANDBOX_DEMO_ORDER: 'off' },
    SANDBOX_MACHINES: 'simulated',
  };
  const { Entrypoint, Cmd } = container.settings;
  const service = container.start([...Entrypoint, ...Cmd], { dataDir, environment });
  const said = Promise.all([text(service.stdout!), text(service.stderr!)]);
  const ended = once(service, 'exit');
  const isOver = () => service.exitCode !== null;
  await expect.poll(() => isOver() || readSandboxFile(dataDir) !== undefined, { timeout: 60_000 }).toBe(true);
  expect(isOver(), isOver() ? (await said).join('\n') : '').toBe(false);
  const url = `http://127.0.0.1:${port}`;
  const file = readSandboxFile(dataDir)!;
  const event = paidCheckout({ agentId: 'in-a-container' });
  const isServing = () =>
    fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await expect.poll(isServing, { timeout: 30_000 }).toBe(true);
  expect(await deliver(url, event, { secret: file.stripeWebhookSecret })).toMatchObject({ status: 200 });
  const headers = { authorization: `Bearer ${file.apiToken}` };
  const readAgent = async () => {
    const answer = await fetch(`${url}/api/agents/in-a-container`, { headers });
    return (await answer.json()) as { status: string; error: string | null };
  };
  await expect.poll(readAgent, { timeout: 120_000, interval: 500 }).toMatchObject({
    status: 'running',
    error: null,
  });
  expect((await fetch(`${url}/readyz`)).status).toBe(200);

  const processes = container.processes();
  expect(processes.some(({ command }) => command.includes('postgres'))).toBe(true);
  expect([...new Set(processes.map(({ uid }) => uid))]).toEqual([USER]);
  const [, ...check] = container.settings.Healthcheck.Test;
  const healthy = container.start(check, { dataDir, environment });
  expect((await once(healthy, 'exit'))[0]).toBe(0);
  const ill = container.start(check, { dataDir, environment: { ...environment, PORT: '9' } });
  expect((await once(ill, 'exit'))[0]).not.toBe(0);

  const first = processes.find(({ command }) => command.includes('tini'))!;
  process.kill(first.pid, 'SIGTERM');
  await ended;
  expect((await said)[0]).toContain('Stopped.');
  await expect.poll(() => container.processes(), { timeout: 10_000 }).toEqual([]);
  // With a read-only root it would have been the same.
  const own = ['-xdev', '-user', String(USER), '-not', '-path', '*/tmp/*', '-not', '-type', 'd'];
  expect(spawnSync('find', [container.mount(), ...own], { encoding: 'utf8' }).stdout).toBe('');
});
