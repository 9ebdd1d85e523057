import { createPool } from '../database/connect.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';
import { createLoginFence, type Fence, noFence } from './fence.ts';
import { createStatePassphrases, type StatePassphrases } from './state-passphrases.ts';
import { createPostgresStateStore, passiveStateStore, type StateStore } from './state-store.ts';

/** Direct access to Pulumi's state, without its CLI; only for a Postgres backend. */
export interface PulumiState {
  state: StateStore;
  /** Undefined for other backends: there the passphrase stays. */
  passphrases: StatePassphrases | undefined;
  fence: Fence;
  close(): Promise<void>;
}

const isPostgres = (backendUrl: Secret) => /^postgres(ql)?:/.test(backendUrl.reveal());

export async function openPulumiState(backendUrl: Secret, log: Log): Promise<PulumiState> {
  const { state, passphrases, pool } = openStateStore(backendUrl);
  if (pool === undefined) return { state, passphrases, fence: noFence(backendUrl), close: async () => {} };
  const fence = await createLoginFence({ pool, backendUrl, log });
  return { state, passphrases, fence, close: () => pool.end() };
}

/** Opens only the store, with the login in the address, for an attempt on a GitHub runner. */
export function openStateStore(backendUrl: Secret) {
  if (!isPostgres(backendUrl)) return { state: passiveStateStore, passphrases: undefined, pool: undefined };
  const database = decodeURIComponent(new URL(backendUrl.reveal()).pathname.slice(1));
  const pool = createPool(backendUrl, 4, 'agent-stacks state');
  const at = { database, project: 'agents' };
  return {
    state: createPostgresStateStore(pool, at),
    passphrases: createStatePassphrases(pool, at),
    pool,
  };
}
