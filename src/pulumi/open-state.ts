import { createPool } from '../database/connect.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';
import { createLoginFence, type Fence, noFence } from './fence.ts';
import { createPostgresStateStore, passiveStateStore, type StateStore } from './state-store.ts';

/** Direct access to Pulumi's state, without its CLI; only for a Postgres backend. */
export interface PulumiState {
  state: StateStore;
  fence: Fence;
  close(): Promise<void>;
}

const isPostgres = (backendUrl: Secret) => /^postgres(ql)?:/.test(backendUrl.reveal());

export async function openPulumiState(backendUrl: Secret, log: Log): Promise<PulumiState> {
  const { state, pool } = openStateStore(backendUrl);
  if (pool === undefined) return { state, fence: noFence(backendUrl), close: async () => {} };
  return { state, fence: await createLoginFence({ pool, backendUrl, log }), close: () => pool.end() };
}

/** Opens only the store, with the login in the address, for an attempt on a GitHub runner. */
export function openStateStore(backendUrl: Secret) {
  if (!isPostgres(backendUrl)) return { state: passiveStateStore, pool: undefined };
  const database = decodeURIComponent(new URL(backendUrl.reveal()).pathname.slice(1));
  const pool = createPool(backendUrl, 4, 'agent-stacks state');
  return { state: createPostgresStateStore(pool, { database, project: 'agents' }), pool };
}
