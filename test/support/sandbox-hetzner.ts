import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { sql } from 'kysely';
import { onTestFinished } from 'vitest';
import { createCredentialsRouter } from '../../sandbox/credentials/issued.ts';
import { openSandboxDatabase, type SandboxDatabase } from '../../sandbox/database.ts';
import { createFaults } from '../../sandbox/faults.ts';
import { createValidationRouter, readViolations } from '../../sandbox/hetzner/answer-validation.ts';
import { createHetznerRouter } from '../../sandbox/hetzner/router.ts';
import { hetznerSchema } from '../../sandbox/hetzner/schema.ts';
import { machinesSchema } from '../../sandbox/machines/schema.ts';
import { createMachinesRouter } from '../../sandbox/machines/simulated.ts';
import { type SandboxSettings, sandboxSettingsSchema } from '../../sandbox/settings.ts';
import { createDatabase } from './postgres.ts';
import { tokens } from './sandbox.ts';

export const hcloudToken = 'h'.repeat(64);

export const publicKey =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJAkSvCVEitPeGFjWHY5WIg6vXL6WXodmMWmPPVKfPnQ someone@example';

// biome-ignore lint/suspicious/noExplicitAny: checked by the tests and against the official document.
export type Answer = { status: number; headers: Headers; body: any };

export interface Cloud {
  url: string;
  databaseUrl: string;
  database: SandboxDatabase;
  settings: SandboxSettings;
  /** Calls the Hetzner API with the project's token, unless `headers` say otherwise. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Calls the sandbox's controls. */
  control(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Waits for actions as client libraries do, and returns their last states. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  finish(...actions: { id: number }[]): Promise<any[]>;
}

/** Short enough to keep tests fast, long enough to observe intermediate states. */
const quick = { serverCreateMs: 40, serverActionMs: 40, machineBootMs: 10, validateAnswers: true };

/**
 * Starts a cloud on a new database. When the test ends, all its answers must have matched the official
 * document.
 */
export async function startCloud(
  settings: Partial<SandboxSettings> = {},
  options: { expectViolations?: boolean } = {},
): Promise<Cloud> {
  const database = await createDatabase('sandbox');
  onTestFinished(() => database.drop());
  const cloud = await serveCloud(database.url, settings);
  onTestFinished(async () => {
    if (options.expectViolations) return;
    const { checked, violations } = await readViolations(cloud.database);
    if (violations.length > 0)
      throw new Error(`Answers that do not match the document: ${JSON.stringify(violations)}`);
    if (checked === 0) throw new Error('No answer was checked against the document');
  });
  return cloud;
}

/** The same cloud in a later process: new routers and connections on the same database. */
export async function restartCloud(cloud: Cloud): Promise<Cloud> {
  return serveCloud(cloud.databaseUrl, cloud.settings);
}

async function serveCloud(databaseUrl: string, overrides: Partial<SandboxSettings>): Promise<Cloud> {
  const settings = sandboxSettingsSchema.parse({ ...quick, ...overrides });
  const database = await openSandboxDatabase(databaseUrl, [hetznerSchema, machinesSchema]);
  const faults = createFaults(database);
  const app = express();
  app.use('/hetzner/v1', faults.middleware('hetzner'));
  app.use('/hetzner/v1', createHetznerRouter({ database, tokens: { hcloudToken }, settings }));
  app.use('/sandbox', faults.router, createValidationRouter(database), createMachinesRouter(database));
  // All keys of Stripe's account begin alike; the others are made of nothing else.
  app.use('/sandbox', createCredentialsRouter(database, { ...tokens, hcloudToken }));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => close(server, database));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call: Cloud['call'] = (method, path, body, headers) =>
    request(`${url}/hetzner/v1${path}`, method, body, { authorization: `Bearer ${hcloudToken}`, ...headers });
  return {
    url,
    databaseUrl,
    database,
    settings,
    call,
    control: (method, path, body) => request(`${url}/sandbox${path}`, method, body, {}),
    finish: (...actions) => finishActions(call, actions),
  };
}

async function close(server: Server, database: SandboxDatabase): Promise<void> {
  server.closeAllConnections();
  server.close();
  await database.destroy();
}

export async function request(
  url: string,
  method: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: text }),
  });
  const answer = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: answer === '' ? undefined : JSON.parse(answer),
  };
}

async function finishActions(call: Cloud['call'], actions: { id: number }[]) {
  const query = actions.map(({ id }) => `id=${id}`).join('&');
  return eventually(async () => {
    const { body } = await call('GET', `/actions?${query}`);
    const done = body.actions.every((action: { status: string }) => action.status !== 'running');
    return done ? body.actions : undefined;
  });
}

/** Polls until there is an answer, for at most 15 seconds. */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('No answer within 15 seconds');
}

/**
 * Lets this time pass for everything that is under way, by moving its recorded times back. With delays of
 * minutes, a test sees each state for as long as it likes, on a slow machine too.
 */
export async function letPass({ database }: Cloud, ms: number): Promise<void> {
  const back = sql`make_interval(secs => ${ms / 1000})`;
  const shifts = [
    sql`update hetzner_actions set started_at = started_at - ${back}, finishes_at = finishes_at - ${back}`,
    sql`update hetzner_servers set locked_until = locked_until - ${back}, deleted_at = deleted_at - ${back}, phases =
      (select jsonb_agg(phase || jsonb_build_object('fromMs', (phase->>'fromMs')::bigint - ${ms}::bigint) order by position)
       from jsonb_array_elements(phases) with ordinality as all_phases (phase, position))`,
    sql`update due set at = at - ${back}`,
  ];
  await database.transaction().execute(async (trx) => {
    for (const shift of shifts) await shift.execute(trx);
  });
}

/** Orders a server, with defaults for everything a test does not care about. */
export function orderServer(cloud: Cloud, order: Record<string, unknown>): Promise<Answer> {
  return cloud.call('POST', '/servers', {
    server_type: 'cx23',
    image: 'debian-12',
    location: 'nbg1',
    ...order,
  });
}

/** Creates a server and waits until it runs. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function runningServer(cloud: Cloud, order: Record<string, unknown>): Promise<any> {
  const { body } = await orderServer(cloud, order);
  await cloud.finish(body.action, ...body.next_actions);
  return (await cloud.call('GET', `/servers/${body.server.id}`)).body.server;
}
