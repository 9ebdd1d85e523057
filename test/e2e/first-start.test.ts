import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { freePort } from '../../sandbox/host/free-port.ts';
import { eventually } from '../support/eventually.ts';
import {
  type Installation,
  makeSite,
  ROOT,
  type Site,
  startCommand,
  startInstallation,
} from '../support/installation.ts';
import { findInstallationProcesses, untilAllExited } from '../support/installation-processes.ts';

let site: Site;
let installation: Installation;
let demoId: string;

beforeAll(async () => {
  site = await makeSite({ SANDBOX_DEMO_ORDER: 'on' });
  installation = await startInstallation(site);
}, 180_000);

afterAll(async () => {
  await installation?.stop();
  await site?.remove();
}, 90_000);

const TIMED_STEPS = ['creating_server', 'joining_network', 'configuring', 'verifying', 'running'];

describe('npm start, for the first time', () => {
  it('brings the demo agent to running, and shows its steps with their times', async () => {
    await eventually(
      'the demo order is placed',
      () => /demo order.*: agent \S+/.test(installation.terminal()),
      {
        withinSeconds: 30,
        describe: installation.terminal,
      },
    );
    demoId = /demo order.*: agent (\S+)/.exec(installation.terminal())?.[1] ?? '';
    await installation.untilAgent(demoId, 'running');
    await eventually('the terminal reports the end', () => /SUCCEEDED after/.test(installation.terminal()), {
      withinSeconds: 30,
      describe: installation.terminal,
    });
    const steps = installation
      .terminal()
      .split('\n')
      .flatMap((line) => new RegExp(`${demoId}  provision  (\\w+) \\d+\\.\\d s$`).exec(line)?.[1] ?? []);
    expect(steps).toEqual(TIMED_STEPS);
    console.log(
      `ready ${installation.readySeconds.toFixed(1)} s after npm start; ${/SUCCEEDED after.*/.exec(installation.terminal())?.[0]}`,
    );
  }, 120_000);

  it('keeps the credentials where documented, readable by their owner only', () => {
    const file = join(site.dataDir, 'sandbox.json');
    expect(installation.terminal()).toContain(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(site.dataDir).mode & 0o777).toBe(0o700);
    expect(Object.keys(installation.connection).sort()).toEqual(
      [
        'url apiToken stripeApiUrl stripeWebhookSecret githubApiUrl githubCallbackSecret hcloudEndpoint hcloudToken',
        'tailscaleBaseUrl tailscaleApiKey tailscaleOauthClientId tailscaleOauthClientSecret tailscaleLoginServer',
        'stripeApiKey databaseUrl pulumiBackendUrl pulumiPassphrase',
      ]
        .join(' ')
        .split(' ')
        .sort(),
    );
  });

  it('hands out working keys to Stripe and Tailscale', async () => {
    const { connection } = installation;
    const { hostname: host, port, protocol } = new URL(connection.stripeApiUrl);
    const stripe = new Stripe(connection.stripeApiKey, {
      host,
      port,
      protocol: protocol === 'https:' ? 'https' : 'http',
    });
    expect((await stripe.subscriptions.list()).data).toHaveLength(1);
    const client = await fetch(`${connection.tailscaleBaseUrl}/api/v2/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: connection.tailscaleOauthClientId,
        client_secret: connection.tailscaleOauthClientSecret,
      }),
    });
    const { access_token } = (await client.json()) as { access_token: string };
    const answer = await fetch(`${connection.tailscaleBaseUrl}/api/v2/tailnet/-/devices`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    const { devices } = (await answer.json()) as { devices: object[] };
    expect(devices).toHaveLength(1);
    expect(connection.tailscaleLoginServer).toMatch(/^http:/);
  });

  it('reports a port that is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const second = startCommand(site, { variables: { PORT: String(port) } });
    expect(await second.ended(60)).toBe(1);
    expect(second.said()).toMatch(new RegExp(`Port ${port} is in use.*PORT=`));
    taken.close();
  }, 60_000);

  it('leaves no process behind after Ctrl-C, and no credentials', async () => {
    expect(findInstallationProcesses(site.dataDir).map(({ command }) => command)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('src/main.ts'),
        expect.stringContaining('sandbox/main.ts'),
        expect.stringContaining('engine/child.ts'),
        expect.stringMatching(/bin\/postgres /),
      ]),
    );
    await installation.stop();
    await untilAllExited(site.dataDir, 10);
    expect(existsSync(join(site.dataDir, 'sandbox.json'))).toBe(false);
  }, 60_000);
});

describe('npm start, again', () => {
  it('shows the same agent on another port', async () => {
    installation = await startInstallation(site, {
      args: ['--role', 'api'],
      variables: { PORT: String(await freePort(null)) },
    });
    console.log(`the second start was ready after ${installation.readySeconds.toFixed(1)} s`);
    // Earlier agents are shown after the ready message.
    await expect.poll(installation.terminal, { timeout: 20_000 }).toMatch(new RegExp(`${demoId}\\s+running`));
    expect(installation.terminal()).not.toContain('demo order');
    expect((await installation.ask(`/api/agents/${demoId}`)).body.status).toBe('running');
  }, 120_000);

  it('is joined by a further process with the same DATA_DIR, which starts neither database nor sandbox', async () => {
    const before = hosted(site);
    expect(before).toEqual({ databases: 1, sandboxes: 1 });
    const worker = await startInstallation(site, { args: ['--role', 'worker'] });
    expect(worker.terminal()).toContain(`Joining the installation that runs on ${site.dataDir}`);
    expect(hosted(site)).toEqual(before);
    await worker.stop();
    expect((await installation.ask('/readyz')).status).toBe(200);
  }, 60_000);
});

/** What a DATA_DIR's processes host: Postgres servers (not their sessions) and sandboxes. */
function hosted({ dataDir }: Site): { databases: number; sandboxes: number } {
  const commands = findInstallationProcesses(dataDir).map(({ command }) => command);
  return {
    databases: commands.filter((command) => /^\S*bin\/postgres /.test(command)).length,
    sandboxes: commands.filter((command) => command.includes(join(ROOT, 'sandbox/main.ts'))).length,
  };
}

async function query(connectionString: string, sql: string): Promise<{ datname: string }[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('npm start with DATABASE_URL', () => {
  it('keeps everything on that server, and a worker with the same address joins it and does the work', async () => {
    const admin = inject('postgresAdminUrl');
    const name = `own_${randomBytes(4).toString('hex')}`;
    const url = new URL(admin);
    url.pathname = `/${name}`;
    const sites = [
      await makeSite({ DATABASE_URL: url.href }),
      await makeSite({ DATABASE_URL: url.href }),
    ] as const;
    try {
      const host = await startInstallation(sites[0], { args: ['--role', 'api'] });
      expect(hosted(sites[0])).toEqual({ databases: 0, sandboxes: 1 });
      const databases = await query(admin, "select datname from pg_database where datname like 'own%'");
      const names = databases.map(({ datname }) => datname).sort();
      expect(names).toHaveLength(3);
      expect(names).toContain(name);
      for (const sibling of names.filter((other) => other !== name)) expect(sibling).not.toMatch(/[_%]/);

      const worker = await startInstallation(sites[1], { args: ['--role', 'worker'] });
      expect(worker.terminal()).toContain(`Joining the installation that runs on ${sites[0].dataDir}`);
      expect(hosted(sites[1])).toEqual({ databases: 0, sandboxes: 0 });
      const created = await host.ask('/api/agents', { json: { userId: 'user-1', region: 'eu-north' } });
      await host.untilAgent(created.body.agentId, 'running');
      // The row changes a moment before the worker's terminal does.
      await eventually('the terminal reports the end', () => /SUCCEEDED after/.test(worker.terminal()), {
        withinSeconds: 30,
        describe: worker.terminal,
      });
      await worker.stop();
      await untilAllExited(sites[1].dataDir, 10);
      await host.stop();

      const alone = startCommand(sites[1]);
      expect(await alone.ended(60)).toBe(1);
      expect(alone.said()).toContain(`Start it with DATA_DIR=${sites[0].dataDir}`);
    } finally {
      for (const site of sites) await site.remove();
      for (const { datname } of await query(
        admin,
        "select datname from pg_database where datname like 'own%'",
      ))
        await query(admin, `drop database if exists "${datname}" with (force)`);
    }
  }, 180_000);
});
