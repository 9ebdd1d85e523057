import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseUnavailable } from '../database/connect.ts';
import type { Lease } from '../processes/lease.ts';

const PAUSE_MS = 500;

/** Retries a write while the database is unavailable and the lease holds: finished work must be recorded. */
export async function persist<T>(lease: Lease, write: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!isDatabaseUnavailable(error) || Date.now() > lease.until) throw error;
      await sleep(PAUSE_MS);
    }
  }
}
