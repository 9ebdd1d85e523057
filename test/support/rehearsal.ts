import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEnvironment } from './commands.ts';
import { query } from './database-query.ts';
import { eventually } from './eventually.ts';
import { type Installation, makeSite, type Site, type StartCommand, startCommand } from './installation.ts';
import { deliver } from './stripe-events.ts';

const START_SECONDS = 120;
export const API_TOKEN = 'operator-token-of-the-rehearsal';
export const WEBHOOK_SECRET = 'whsec_rehearsal00000000000000';

/**
 * A second installation in live mode's configuration, with another one's sandbox as its clouds and its own
 * database.
 */
export interface Rehearsal {
  site: Site;
  databaseUrl: string;
  /** Its own: the clouds have agents of other rehearsals, which must not look like a lost database's. */
  passphrase: string;
  /** The right variables. */
  environment: Readonly<NodeJS.ProcessEnv>;
  /** Starts it with these variables instead of the right ones. */
  start(variables?: NodeJS.ProcessEnv): Promise<RunningRehearsal>;
  /** Starts it with variables that it must refuse. @returns its output and exit code */
  startRefused(variables?: NodeJS.ProcessEnv): Promise<{ code: number | null; said: string }>;
  query(sql: string): Promise<Record<string, unknown>[]>;
  remove(): Promise<void>;
}

export interface RunningRehearsal {
  url: string;
  said(): string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are judged by the tests' expectations.
  ask(path: string, init?: RequestInit): Promise<{ status: number; body: any }>;
  /** Calls the API without the operator's token. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  askOpenly(path: string): Promise<{ status: number; body: any }>;
  deliver(event: unknown): ReturnType<typeof deliver>;
  /** Returns an agent's newest operation once it satisfies `isSo`. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  untilOperation(agentId: string, isSo: (operation: any) => boolean, withinSeconds?: number): Promise<any>;
  stop(): Promise<void>;
}

export async function makeRehearsal(sandbox: Installation): Promise<Rehearsal> {
  const { connection } = sandbox;
  const name = `rehearsal-${randomBytes(4).toString('hex')}`;
  await query(connection.databaseUrl, `create database "${name}"`);
  const passphrase = randomBytes(16).toString('hex');
  const url = new URL(connection.databaseUrl);
  url.pathname = `/${name}`;
  const site = await makeSite();
  const secrets = JSON.parse(await readFile(join(sandbox.site.dataDir, 'secrets.json'), 'utf8'));
  const right = {
    MODE: 'rehearsal',
    PROVIDERS: 'builtin',
    PORT: '0',
    DATABASE_URL: url.href,
    API_TOKEN,
    PULUMI_CONFIG_PASSPHRASE: passphrase,
    STRIPE_SECRET_KEY: secrets.sandboxTokens.stripeSecretKey,
    STRIPE_WEBHOOK_SECRET: WEBHOOK_SECRET,
    HCLOUD_TOKEN: connection.hcloudToken,
    HCLOUD_ENDPOINT: connection.hcloudEndpoint,
    TAILSCALE_OAUTH_CLIENT_ID: secrets.sandboxTokens.tailscaleOauthClientId,
    TAILSCALE_OAUTH_CLIENT_SECRET: secrets.sandboxTokens.tailscaleOauthClientSecret,
    TAILSCALE_BASE_URL: connection.tailscaleBaseUrl,
    DATA_DIR: site.dataDir,
    TMPDIR: site.environment.TMPDIR,
    RETRY_SECONDS: '1',
    // One engine process a service: each takes as long to start as several operations.
    WORKER_CONCURRENCY: '1',
  };
  const command = (variables: NodeJS.ProcessEnv = {}) =>
    startCommand({ ...site, environment: createEnvironment({ ...right, ...variables }) });
  return {
    site,
    databaseUrl: url.href,
    passphrase,
    environment: right,
    start: async (variables) => running(command(variables)),
    startRefused: async (variables) => {
      const started = command(variables);
      return { code: await started.ended(START_SECONDS), said: started.said() };
    },
    query: (sql) => query(url.href, sql),
    remove: async () => {
      await site.remove();
      for (const database of [name, `${name}-pulumi`])
        await query(connection.databaseUrl, `drop database if exists "${database}" with (force)`);
    },
  };
}

async function running(command: StartCommand): Promise<RunningRehearsal> {
  await eventually(
    'the rehearsal is ready',
    () => {
      if (command.exitCode() !== undefined)
        throw new Error(`It ended with ${command.exitCode()}:\n${command.said()}`);
      return /^ *Ready \(/m.test(command.said());
    },
    { withinSeconds: START_SECONDS, describe: command.said },
  );
  const url = /Dashboard\s+(\S+)/.exec(command.said())?.[1] ?? '';
  const askWith = async (path: string, init: RequestInit) => {
    const response = await fetch(`${url}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  };
  const ask: RunningRehearsal['ask'] = (path, init = {}) =>
    askWith(path, { ...init, headers: { ...init.headers, authorization: `Bearer ${API_TOKEN}` } });
  return {
    url,
    said: command.said,
    ask,
    askOpenly: (path) => askWith(path, {}),
    deliver: (event) => deliver(url, event, { secret: WEBHOOK_SECRET }),
    untilOperation: async (agentId, isSo, withinSeconds = 60) => {
      let operation: unknown;
      await eventually(
        `the operation of ${agentId} is as wanted`,
        async () => {
          operation = (await ask(`/api/agents/${agentId}/operations`)).body.items?.[0];
          return operation !== undefined && isSo(operation);
        },
        { withinSeconds, describe: () => `${JSON.stringify(operation)}\n${command.said()}` },
      );
      return operation;
    },
    stop: async () => {
      command.signalGroup('SIGINT');
      await command.ended(60);
    },
  };
}
