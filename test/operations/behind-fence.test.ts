import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createPool } from '../../src/database/connect.ts';
import { behindFence } from '../../src/operations/behind-fence.ts';
import type { OwnedWork } from '../../src/operations/stand-in.ts';
import { Lease } from '../../src/processes/lease.ts';
import { Secret } from '../../src/secret.ts';

test('the login is closed before the end is recorded, after which nothing would close it', async () => {
  const done: string[] = [];
  await run(done, async () => {
    done.push('works');
    return async () => void done.push('recorded');
  });
  expect(done).toEqual(['entered', 'works', 'left', 'recorded']);
});

test('what fails is not recorded as ended, and its login is closed', async () => {
  const done: string[] = [];
  await expect(run(done, () => Promise.reject(new Error('no room')))).rejects.toThrow('no room');
  expect(done).toEqual(['entered', 'left']);
});

test('while the database is away, closing and recording wait for it', async () => {
  const done: string[] = [];
  let absences = 2;
  const nowhere = createPool(new Secret('postgres://a:b@127.0.0.1:1/none'), 1, 'test');
  const away = await nowhere.query('select 1').catch((error: unknown) => error);
  const failing = async (what: string) => {
    if (absences-- > 0) throw away;
    absences = 1;
    done.push(what);
  };
  await run(
    done,
    async () => () => failing('recorded'),
    () => failing('left'),
  );
  expect(done).toEqual(['entered', 'left', 'recorded']);
});

const owned = { ownerId: 'slot-1', work_id: 'work-1', attempt: 1, makes: true } as OwnedWork;

function run(
  done: string[],
  work: Parameters<typeof behindFence>[3],
  leave: () => Promise<void> = async () => void done.push('left'),
) {
  const enter = async () => {
    done.push('entered');
    return { backendUrl: new Secret('postgres://x/y'), leave };
  };
  const fence = { isHard: true, enter, evict: async () => {} };
  const held = {
    signal: new AbortController().signal,
    lease: new Lease(Date.now() + 60_000),
    step: () => {},
    log: () => {},
  };
  return behindFence({ fence, log: pino({ level: 'silent' }), what: 'a slot' }, owned, held, work);
}
