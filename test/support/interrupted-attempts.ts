import { sql } from 'kysely';
import { expect } from 'vitest';
import { getAgent } from '../../src/agents/store.ts';
import { LostError } from '../../src/errors.ts';
import type { RunbookParts } from '../../src/operations/runbook-parts.ts';
import type { OperationsFixture } from './operations-fixture.ts';
import { attemptNext } from './runbook-attempts.ts';
import type { RunbookFixture } from './runbook-fixture.ts';

/** What changes a cloud, the stack or the row. Between two looks, a kill makes no difference. */
const CHANGES = /^(up|refresh|record\w+|part|(create|await|delete)\w+|shutDown|power\w+|untilHealthy)$/;

export interface Interruption {
  nth: number;
  when: 'before' | 'after';
  interrupt(): Promise<void>;
  /** Checks what must hold after each change. */
  check(): Promise<void>;
}

/** Calls `interrupt` around the nth change of an attempt. `seen` counts them. */
export function interrupting({ nth, when, interrupt, check }: Interruption) {
  const seen = { calls: 0 };
  const wrapped = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key);
        if (typeof value !== 'function') return value;
        if (!CHANGES.test(String(key))) return value;
        return async (...args: unknown[]) => {
          seen.calls += 1;
          const isNth = seen.calls === nth;
          if (isNth && when === 'before') await interrupt();
          const answer: unknown = await Reflect.apply(value, object, args);
          await check();
          if (isNth && when === 'after') await interrupt();
          return answer;
        };
      },
    });
  return {
    seen,
    wrap: (parts: RunbookParts): RunbookParts => ({
      ...wrapped(parts),
      ...Object.fromEntries(
        Object.entries(parts).map(([name, part]) => [
          name,
          typeof part === 'function'
            ? wrapped({ part }).part
            : typeof part === 'object'
              ? wrapped(part as object)
              : part,
        ]),
      ),
      settings: parts.settings,
    }),
  };
}

/** The worker dies. */
export const lose = () => Promise.reject(new LostError('killed'));

/** Of agent `a1` there is one server, or the recorded snapshot is complete; never two servers. */
export async function nothingIsLost(at: OperationsFixture, fixture: RunbookFixture): Promise<void> {
  const { snapshot_id: recorded, status } = await getAgent(at.database, 'a1');
  const kept = fixture.snapshots.find(({ id }) => id === recorded)?.status === 'available';
  const state = JSON.stringify({ status, recorded, servers: fixture.servers, snapshots: fixture.snapshots });
  expect(fixture.servers.length === 1 || (fixture.servers.length === 0 && kept), state).toBe(true);
}

/** Runs attempts until nothing is queued; waits between attempts are skipped. @returns their kinds */
export async function drain(at: OperationsFixture, fixture: RunbookFixture): Promise<string[]> {
  const kinds: string[] = [];
  for (;;) {
    const { rows } = await sql`select 1 from operations
      where status = 'queued' and run_after < now() + interval '5 minutes'`.execute(at.database);
    if (rows.length === 0) return kinds;
    expect(kinds.length).toBeLessThan(10);
    kinds.push((await attemptNext(at, fixture)).kind);
  }
}
