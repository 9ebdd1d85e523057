import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../sandbox/host/free-port.ts';
import { createDatabase, createPool, type Database } from '../../src/database/connect.ts';
import { Secret } from '../../src/secret.ts';
import { openBrowser, whyNoBrowser } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { openLog, openPage } from '../support/open-pages.ts';
import { log, tell } from '../support/operation-progress.ts';

const PAGES = 25;
const LOGS = 25;
const CHANGES = 10;

let site: Site;
/** Hosts the sandbox and takes the orders. No worker runs, so nothing else changes. */
let host: Installation;
/** Serves the open pages; it is killed and started again. */
let server: Installation;
let port: string;
let database: Database;
const closing = new AbortController();

beforeAll(async () => {
  site = await makeSite();
  host = await startInstallation(site, { args: ['--role', 'api'] });
  port = String(await freePort(null));
  server = await startServer();
  database = createDatabase(createPool(new Secret(host.connection.databaseUrl), 4, 'open pages'));
}, 180_000);
afterAll(async () => {
  closing.abort();
  await database?.destroy();
  // An installation whose Hetzner nobody has asked is taken for one that checked no answers.
  await fetch(`${host?.connection.hcloudEndpoint}/servers`, {
    headers: { authorization: `Bearer ${host?.connection.hcloudToken}` },
  });
  await server?.stop();
  await host?.stop();
  await site?.remove();
}, 90_000);

const startServer = () => startInstallation(site, { args: ['--role', 'api'], variables: { PORT: port } });

const ask = (path: string, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    headers: { authorization: `Bearer ${host.connection.apiToken}`, ...headers },
    signal: closing.signal,
  });

async function order(agentId: string): Promise<string> {
  const { status, body } = await host.ask('/api/agents', {
    json: { agentId, userId: 'u', region: 'eu-west' },
  });
  expect(status).toBe(202);
  return body.operationId;
}

const names = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `change-${String(from + index).padStart(2, '0')}`);

it('fifty open pages see every change once, and miss none while the server is killed and started again', async () => {
  const followed = await order('followed');
  const pages = Array.from({ length: PAGES }, () => openPage(ask, closing.signal));
  const logs = Array.from({ length: LOGS }, () => openLog(ask, followed, closing.signal));
  const all = [...pages, ...logs];
  const connected = (times: number) =>
    eventually(`all have connected ${times} times`, () => all.every((one) => one.connections() === times), {
      withinSeconds: 60,
      describe: () => all.map((one) => one.connections()).join(' '),
    });
  await connected(1);
  const browser = whyNoBrowser === undefined ? await openBrowser() : undefined;
  const tab = await browser?.signIn(`http://127.0.0.1:${port}/agents`, host.connection.apiToken);
  await tab?.getByText('Live', { exact: true }).waitFor();

  const change = async (name: string, index: number) => {
    await order(name);
    await tell(database, followed, [log(`line ${index}`)]);
  };
  const shown = async (agents: string[], lines: number) => {
    const ids = ['followed', ...agents].sort();
    const numbers = Array.from({ length: lines + 1 }, (_, index) => index + 1);
    await eventually(
      `all show ${ids.length} agents and ${lines} lines`,
      () =>
        pages.every((page) => page.agents().length === ids.length) &&
        logs.every((one) => one.numbers().length >= numbers.length),
      { withinSeconds: 60, describe: () => pages.map((page) => page.agents().length).join(' ') },
    );
    for (const page of pages) expect(page.agents().toSorted()).toEqual(ids);
    for (const one of logs) expect(one.numbers()).toEqual(numbers);
    await tab?.getByText(`${ids.length} agents`).waitFor();
  };

  const before = names(0, CHANGES);
  for (const [index, name] of before.entries()) await change(name, index);
  await shown(before, CHANGES);
  for (const page of pages) expect(page.events()).toEqual(before.map((name) => `${name} queued`));

  await server.kill();
  await tab?.getByText('Disconnected, reconnecting…').waitFor();
  const between = names(CHANGES, 2 * CHANGES);
  for (const [index, name] of between.entries()) await change(name, index);
  server = await startServer();
  await connected(2);
  await shown([...before, ...between], 2 * CHANGES);

  const after = names(2 * CHANGES, 3 * CHANGES);
  for (const [index, name] of after.entries()) await change(name, index);
  await shown([...before, ...between, ...after], 3 * CHANGES);
  for (const page of pages)
    expect(page.events()).toEqual([...before, ...after].map((name) => `${name} queued`));
  await tab?.getByText('Live', { exact: true }).waitFor();
  await browser?.close();
}, 300_000);
