import { randomUUID } from 'node:crypto';
import type { HttpDeps } from '../../src/app/api.ts';
import type { Database } from '../../src/database/connect.ts';
import { attemptToken, signBody } from '../../src/executors/github-actions/callback-signature.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import type { OperationRow } from '../../src/operations/claims.ts';
import { chooseExecutor } from '../../src/operations/executor-choice.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { createFoundationStore } from '../../src/runbooks/steps/foundation-store.ts';
import { Secret } from '../../src/secret.ts';
import { startService, type TestService } from './http-service.ts';
import { stampAsNew } from './stamp.ts';

export const CALLBACK_SECRET = new Secret('callback secret of the tests');
const STATE = new Secret('postgres://state');

type Remote = NonNullable<HttpDeps['remote']>;

/** Starts a service whose executor is GitHub. The test acts as its runners. */
export async function startRemoteService(overrides: Partial<Remote> = {}): Promise<TestService> {
  const fence = noFence(STATE);
  const service = await startService((database) => ({
    remote: {
      callbackSecret: CALLBACK_SECRET,
      getFence: async () => fence,
      pulumi: { url: STATE, keyring: new Keyring(new Secret('passphrase')) },
      foundations: createFoundationStore(database, fence),
      ...overrides,
    },
  }));
  await stampAsNew(service.database);
  await chooseExecutor(service.database, 'github-actions');
  return service;
}

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/**
 * Sends a signed message. `sign` replaces the signature, or omits it if null. `attempt` adds that attempt's
 * token to the address.
 */
export async function tell(
  service: TestService,
  message: object | string,
  options: { sign?: string | null; attempt?: number; route?: string; token?: string; bearer?: string } = {},
): Promise<Answer> {
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  const url = new URL(`${service.url}${options.route ?? '/api/webhooks/github'}`);
  const jobId = (message as { job_id?: string }).job_id ?? '';
  if (options.attempt !== undefined)
    url.searchParams.set(
      'token',
      attemptToken(CALLBACK_SECRET, { operationId: jobId, attempt: options.attempt }),
    );
  if (options.token !== undefined) url.searchParams.set('token', options.token);
  const signature = options.sign === undefined ? signBody(CALLBACK_SECRET, body) : options.sign;
  const headers = {
    ...(signature === null ? {} : { 'x-signature': signature }),
    ...(options.bearer === undefined ? {} : { authorization: `Bearer ${options.bearer}` }),
  };
  const response = await fetch(url, { method: 'POST', headers, body });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

export const claim = (service: TestService, message: object, options: { attempt?: number } = {}) =>
  tell(service, message, { ...options, route: '/api/runner/claim' });
export const record = (service: TestService, message: object, options: { attempt?: number } = {}) =>
  tell(service, message, { ...options, route: '/api/runner/record' });

let count = 0;

/** Creates an agent with its queued provision. @returns the ids of the job and the agent */
export async function order(service: TestService): Promise<{ jobId: string; agentId: string }> {
  count += 1;
  const agentId = `r${count}-${randomUUID().slice(0, 8)}`;
  const answer = await service.ask('/api/agents', {
    json: { agentId, userId: 'u1', region: 'eu-central' },
  });
  const { operationId } = (await answer.json()) as { operationId: string };
  return { jobId: operationId, agentId };
}

export function getRow(database: Database, jobId: string): Promise<OperationRow> {
  return database
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', jobId)
    .executeTakeFirstOrThrow();
}

/** Leaves the row as a dispatch does: the next attempt is open to its runner. */
export async function dispatched(service: TestService, jobId: string, runId?: string): Promise<number> {
  const row = await getRow(service.database, jobId);
  await service.database
    .updateTable('operations')
    .set({
      attempt: row.attempt + 1,
      dispatched_at: new Date(),
      run_after: new Date(Date.now() + 1_800_000),
      workflow_run_id: runId ?? null,
    })
    .where('operation_id', '=', jobId)
    .execute();
  return row.attempt + 1;
}

export const ADDRESSES = { server_id: '42', server_ip: '192.0.2.7', tailscale_ip: '100.64.0.7' };

/** Addresses of a server that no other agent has. */
export function addresses() {
  count += 1;
  return {
    ...ADDRESSES,
    server_id: String(1000 + count),
    tailscale_ip: `100.65.${count >> 8}.${count & 255}`,
  };
}
