import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createSandboxApp } from '../../../../sandbox/app.ts';
import { openSandboxDatabase } from '../../../../sandbox/database.ts';
import { sandboxSettingsSchema } from '../../../../sandbox/settings.ts';
import { SANDBOX_SCHEMAS } from '../../../../sandbox/start.ts';
import { createDatabase } from '../../../support/postgres.ts';
import { tokens } from '../../../support/sandbox.ts';

// Between changes the machines are looked at once a second: nobody should wait for that.
test('the machines are woken by every change at Hetzner, and by no question', async () => {
  const copy = await createDatabase('sandbox');
  const database = await openSandboxDatabase(copy.url, SANDBOX_SCHEMAS);
  let wakes = 0;
  const app = createSandboxApp({
    ...{ database, tokens, settings: sandboxSettingsSchema.parse({}), webhookUrl: 'http://127.0.0.1:1/' },
    clock: { read: () => Promise.reject(), advance: () => Promise.reject(), stopped: Promise.resolve() },
    wakeMachines: () => {
      wakes += 1;
    },
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    await database.destroy();
    await copy.drop();
  });
  const { port } = server.address() as AddressInfo;
  const ask = (method: string, path: string, body?: object) =>
    fetch(`http://127.0.0.1:${port}/hetzner/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${tokens.hcloudToken}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
  expect((await ask('GET', '/servers')).status).toBe(200);
  const made = await ask('POST', '/firewalls', { name: 'one' });
  await expect.poll(() => wakes).toBe(1);
  const { firewall } = (await made.json()) as { firewall: { id: number } };
  expect((await ask('DELETE', `/firewalls/${firewall.id}`)).status).toBe(204);
  await expect.poll(() => wakes).toBe(2);
});
