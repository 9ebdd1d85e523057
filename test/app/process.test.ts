import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runProcess } from '../../src/app/process.ts';
import { readConfig } from '../../src/config/config.ts';
import { openWebServer } from '../../src/http/web-server.ts';

async function takenPort(): Promise<string> {
  const taken = await openWebServer({ host: '127.0.0.1', port: 0 }, false);
  onTestFinished(taken.close);
  return String(taken.port);
}

test('a port in use is found before a database is created', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taken-port-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const PORT = await takenPort();
  const config = readConfig({ DATA_DIR: folder, PORT, SANDBOX_MACHINES: 'simulated' });
  await expect(runProcess(config, 'all')).rejects.toThrow(`Port ${PORT} is in use by another program`);
  expect(readdirSync(folder)).toEqual(['logs']);
});

test('a port in use is found before the operator’s database is contacted', async () => {
  const PORT = await takenPort();
  const config = readConfig({
    MODE: 'live',
    PORT,
    // Nothing listens there.
    DATABASE_URL: 'postgres://127.0.0.1:1/agents',
    API_TOKEN: 'operator-token-1234',
    PULUMI_CONFIG_PASSPHRASE: 'a passphrase',
    STRIPE_SECRET_KEY: 'sk_live_abc',
    STRIPE_WEBHOOK_SECRET: 'whsec_one',
    HCLOUD_TOKEN: 'h'.repeat(64),
    TAILSCALE_API_KEY: 'tskey-api-x',
  });
  await expect(runProcess(config, 'api')).rejects.toThrow(`Port ${PORT} is in use by another program`);
});
