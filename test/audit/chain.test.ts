import { type RawBuilder, sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { audit } from '../../src/agents/audit.ts';
import { BrokenChainError, type SealerMemory, sealAudit } from '../../src/audit/seal.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

const keyring = new Keyring(new Secret('a passphrase'));

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  for (const table of ['audit_chain', 'audit_head'] as const) await at.database.deleteFrom(table).execute();
});

const run = (statement: RawBuilder<unknown>) => statement.execute(at.database);
const verify = () => verifyAudit(at.database, keyring);

/** Writes and seals rows whose details are numbered; returns their ids. */
async function seal(...numbers: number[]): Promise<number[]> {
  await at.database.transaction().execute(async (trx) => {
    for (const number of numbers)
      await audit(trx, { actor: 'test', action: 'test.done', details: { number } });
  });
  await sealAudit(at.database, keyring);
  const { rows } = await sql<{ id: number }>`select id from audit_log order by id`.execute(at.database);
  return rows.map(({ id }) => id);
}

test('an untouched log is whole, row by row and page by page', async () => {
  expect(await verify()).toEqual({ rows: 0, waiting: 0, head: null, flaw: null });
  await order(at, 'a1');
  await seal(1, 2, 3);
  await seal(4);
  const verified = await verify();
  const [{ count }] = (await sql<{ count: number }>`select count(*) from audit_log`.execute(at.database))
    .rows as [{ count: number }];
  expect(verified).toMatchObject({ rows: count, waiting: 0, flaw: null });
  expect(verified.head).toMatchObject({ position: count, hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(await sealAudit(at.database, keyring)).toBe(0);
});

test('sealers that run at once make one chain', async () => {
  for (let round = 0; round < 5; round += 1) {
    const writing = at.database
      .transaction()
      .execute((trx) => audit(trx, { actor: 'test', action: 'test.done', details: { round } }));
    await Promise.all([writing, ...[1, 2, 3].map(() => sealAudit(at.database, keyring))]);
  }
  await sealAudit(at.database, keyring);
  expect(await verify()).toMatchObject({ rows: 5, waiting: 0, flaw: null });
});

test('a row that commits late is sealed late, and nothing is wrong', async () => {
  const { promise: sealed, resolve } = Promise.withResolvers<void>();
  const { promise: written, resolve: wrote } = Promise.withResolvers<void>();
  const late = at.database.transaction().execute(async (trx) => {
    await audit(trx, { actor: 'test', action: 'test.late' });
    wrote();
    await sealed;
  });
  await written;
  await seal(1, 2);
  resolve();
  await late;
  expect(await sealAudit(at.database, keyring)).toBe(1);
  expect(await verify()).toMatchObject({ rows: 3, flaw: null });
});

const TAMPERING: [string, (ids: number[]) => RawBuilder<unknown>[], object][] = [
  [
    'a detail altered',
    ([, second]) => [sql`update audit_log set details = '{"number": 9}' where id = ${second}`],
    { kind: 'altered', position: 2 },
  ],
  [
    'an actor altered',
    ([, , third]) => [sql`update audit_log set actor = 'somebody' where id = ${third}`],
    { kind: 'altered', position: 3 },
  ],
  [
    'a time altered by a microsecond',
    ([first]) => [sql`update audit_log set at = at + interval '1 microsecond' where id = ${first}`],
    { kind: 'altered', position: 1 },
  ],
  [
    'a row removed',
    ([, second]) => [sql`delete from audit_log where id = ${second}`],
    { kind: 'removed', position: 2 },
  ],
  [
    'a row removed with its link',
    ([, second]) => [
      sql`delete from audit_log where id = ${second}`,
      sql`delete from audit_chain where audit_id = ${second}`,
    ],
    { kind: 'link-missing' },
  ],
  [
    'a row removed and the links renumbered',
    ([, second]) => [
      sql`delete from audit_log where id = ${second}`,
      sql`delete from audit_chain where audit_id = ${second}`,
      sql`update audit_chain set position = position - 1 where audit_id > ${second}`,
    ],
    { kind: 'altered', position: 2 },
  ],
  [
    'two rows swapped',
    ([, second, third]) => [
      sql`update audit_log a set details = b.details from audit_log b
        where (a.id, b.id) in ((${second}, ${third}), (${third}, ${second}))`,
    ],
    { kind: 'altered', position: 2 },
  ],
  [
    'the end cut off',
    ([, , third, fourth]) => [
      sql`delete from audit_log where id in (${third}, ${fourth})`,
      sql`delete from audit_chain where audit_id in (${third}, ${fourth})`,
    ],
    { kind: 'head', position: 2 },
  ],
  [
    'the end cut off and its signature kept',
    ([, , , fourth]) => [
      sql`delete from audit_log where id = ${fourth}`,
      sql`delete from audit_chain where audit_id = ${fourth}`,
      sql`update audit_head set position = 3`,
    ],
    { kind: 'head', position: 3 },
  ],
  ['the signature removed', () => [sql`delete from audit_head`], { kind: 'head' }],
  [
    'a row inserted as if it had been sealed',
    () => [sql`insert into audit_log (actor, action, sealed) values ('x', 'agent.destroy', true)`],
    { kind: 'inserted' },
  ],
  [
    'a row inserted for an earlier day',
    () => [
      sql`insert into audit_log (at, actor, action) values (now() - interval '1 day', 'x', 'agent.destroy')`,
    ],
    { kind: 'date', position: null },
  ],
  [
    'a row inserted with a link',
    () => [
      sql`insert into audit_log (actor, action, sealed) values ('x', 'agent.destroy', true)`,
      sql`insert into audit_chain (position, audit_id, hash)
        select 5, max(id), sha256('x') from audit_log`,
    ],
    { kind: 'altered', position: 5 },
  ],
];

test.each(TAMPERING)('finds %s', async (_what, tamper, flaw) => {
  const ids = await seal(1, 2, 3, 4);
  expect((await verify()).flaw).toBeNull();
  for (const statement of tamper(ids)) await run(statement);
  expect((await verify()).flaw).toMatchObject(flaw);
});

test('a row that was inserted for an earlier day is found after it was sealed too', async () => {
  await seal(1);
  await run(sql`insert into audit_log (at, actor, action) values (now() - interval '1 day', 'x', 'y.z')`);
  await sealAudit(at.database, keyring);
  expect((await verify()).flaw).toMatchObject({ kind: 'date', position: 2 });
});

test('a row is dated when it is written, however long its transaction has lasted', async () => {
  await at.database.transaction().execute(async (trx) => {
    await sql`select pg_sleep(0.01)`.execute(trx);
    await audit(trx, { actor: 'test', action: 'test.done' });
    const { rows } = await sql`select at > now() as late from audit_log`.execute(trx);
    expect(rows).toEqual([{ late: true }]);
  });
});

describe('a date that goes back', () => {
  /** Seals a row from before the database's clock was set back, and three from after. */
  async function setBack(): Promise<number[]> {
    await run(sql`insert into audit_log (at, actor, action) values (now() + interval '1 day', 'x', 'y.z')`);
    return seal(1, 2, 3);
  }

  test('is told as such, and only if nothing worse is found after it', async () => {
    const ids = await setBack();
    expect(await verify()).toMatchObject({ rows: 4, flaw: { kind: 'date', position: 2 } });
    await run(sql`update audit_log set actor = 'somebody' where id = ${ids[3]}`);
    expect((await verify()).flaw).toMatchObject({ kind: 'altered', position: 4 });
    await run(sql`update audit_log set actor = 'test' where id = ${ids[3]}`);
    await run(sql`insert into audit_log (actor, action, sealed) values ('x', 'agent.destroy', true)`);
    expect((await verify()).flaw).toMatchObject({ kind: 'inserted' });
  });

  test('is not told again once an end after it was noted', async () => {
    await setBack();
    const { head } = await verify();
    await seal(4);
    expect((await verifyAudit(at.database, keyring, head!)).flaw).toBeNull();
    expect((await verifyAudit(at.database, keyring, { ...head!, hash: 'ab' })).flaw).toMatchObject({
      kind: 'head',
    });
    await run(sql`insert into audit_log (at, actor, action) values (now() - interval '1 day', 'x', 'y.z')`);
    const waiting = { kind: 'date', position: null };
    expect((await verifyAudit(at.database, keyring, head!)).flaw).toMatchObject(waiting);
    await sealAudit(at.database, keyring);
    expect((await verifyAudit(at.database, keyring, head!)).flaw).toMatchObject({
      kind: 'date',
      position: 6,
    });
  });
});

test('a cut chain is not continued', async () => {
  await seal(1, 2);
  await run(sql`delete from audit_chain where position = 2`);
  await expect(seal(3)).rejects.toThrow(BrokenChainError);
});

describe('a chain that somebody takes back, to have another one sealed', () => {
  /** Whoever writes to the database gives row 3 another actor, to be sealed as if it were new. */
  const rewrite = async (before: RawBuilder<unknown>[]) => {
    for (const statement of before) await run(statement);
    await run(sql`update audit_log a set sealed = false, actor = case details->>'number' when '3' then 'somebody' else actor end
      where not exists (select from audit_chain c where c.audit_id = a.id)`);
  };
  const resealed = () =>
    at.database
      .selectFrom('audit_log')
      .select('id')
      .where('actor', '=', 'somebody')
      .where('sealed', '=', true)
      .execute();
  const EMPTIED = [sql`delete from audit_chain`, sql`delete from audit_head`];

  test.each([
    ['to nothing', async () => EMPTIED],
    [
      'to an old end with its old signature',
      async () => {
        const { position, signature } = await at.database
          .selectFrom('audit_head')
          .selectAll()
          .executeTakeFirstOrThrow();
        return [
          sql`delete from audit_chain where position > ${position}`,
          sql`update audit_head set position = ${position}, signature = ${signature}`,
        ];
      },
    ],
  ] as const)(
    '%s: a sealer that has seen more seals nothing, until it is whole again',
    async (_what, plan) => {
      const memory: SealerMemory = {};
      const again = () => sealAudit(at.database, keyring, memory);
      await seal(1, 2);
      const back = await plan();
      await seal(3);
      await again();
      const kept = await sql<object>`select position, audit_id, hash from audit_chain`.execute(at.database);
      const head = await at.database.selectFrom('audit_head').selectAll().executeTakeFirstOrThrow();
      await rewrite([...back]);
      await expect(again()).rejects.toThrow(BrokenChainError);
      await expect(again()).rejects.toThrow(/which this process has seen/);
      expect(await resealed()).toEqual([]);
      // The operator has put it right.
      await run(sql`delete from audit_chain`);
      await run(sql`delete from audit_head`);
      await run(sql`update audit_log set sealed = true, actor = 'test'`);
      await at.database
        .insertInto('audit_chain')
        .values(kept.rows as never)
        .execute();
      await at.database.insertInto('audit_head').values(head).execute();
      await at.database.transaction().execute((trx) => audit(trx, { actor: 'test', action: 'test.done' }));
      expect(await again()).toBe(1);
      expect((await verify()).flaw).toBeNull();
    },
  );

  test('a sealer remembers no rows that were not committed', async () => {
    const memory: SealerMemory = {};
    await seal(1);
    await sealAudit(at.database, keyring, memory);
    await at.database.transaction().execute((trx) => audit(trx, { actor: 'test', action: 'test.done' }));
    await run(sql`alter table audit_head add constraint full_disk check (position < 2) not valid`);
    await expect(sealAudit(at.database, keyring, memory)).rejects.toThrow('full_disk');
    await run(sql`alter table audit_head drop constraint full_disk`);
    expect(memory.end?.position).toBe(1);
    expect(await sealAudit(at.database, keyring, memory)).toBe(1);
  });

  test.each([
    ['a row is marked as sealed', sql`update audit_log set sealed = true where details->>'number' = '1'`],
    [
      'a worker has begun something long ago',
      sql`update operations set started_at = now() - interval '11 minutes'`,
    ],
  ])('a sealer that has just begun seals no empty chain if %s', async (_what, trace) => {
    await run(sql`update kysely_migration set timestamp = '2026-01-01T00:00:00.000Z'`);
    await order(at, 'a1');
    await seal(1, 2, 3);
    await rewrite(EMPTIED);
    await run(trace);
    await expect(sealAudit(at.database, keyring)).rejects.toThrow(
      'is empty, and this installation is not new',
    );
    expect(await resealed()).toEqual([]);
    expect((await verify()).flaw).toMatchObject({ kind: 'head' });
  });

  test('one of an installation is begun: an API alone took orders, or a backup had no chain', async () => {
    await order(at, 'a1');
    await run(sql`update audit_log set at = now() - interval '1 day'`);
    expect((await verify()).flaw).toBeNull();
    expect(await sealAudit(at.database, keyring)).toBeGreaterThan(0);
    for (const statement of EMPTIED) await run(statement);
    await run(sql`update audit_log set sealed = false`);
    await run(sql`update operations set started_at = now() - interval '1 day'`);
    await run(sql`update kysely_migration set timestamp = ${new Date().toISOString()}`);
    expect(await sealAudit(at.database, keyring)).toBeGreaterThan(0);
  });
});

test('what is not sealed is told while a worker runs', async () => {
  await run(
    sql`insert into audit_log (at, actor, action) values (now() - interval '11 minutes', 'x', 'y.z')`,
  );
  const told = async () => (await listAttention(at.database, { limit: 9 })).map(({ cause }) => cause);
  expect(await told()).toEqual([]);
  await run(sql`insert into workers (worker_id, host, process, concurrency) values ('w', 'h', 'p', 1)`);
  expect(await told()).toEqual(['The audit log has not been sealed for ten minutes.']);
  await sealAudit(at.database, keyring);
  expect(await told()).toEqual([]);
});

test('who has the database alone cannot write a chain of his own', async () => {
  await seal(1, 2);
  const other = new Keyring(new Secret('another passphrase'));
  for (const table of ['audit_chain', 'audit_head'] as const) await at.database.deleteFrom(table).execute();
  await at.database.updateTable('audit_log').set({ sealed: false }).execute();
  await sealAudit(at.database, other);
  expect((await verify()).flaw).toMatchObject({ kind: 'altered', position: 1 });
});

test('an end that was noted earlier shows that an old copy was put back', async () => {
  await seal(1, 2, 3);
  const { head } = await verify();
  await seal(4);
  expect((await verifyAudit(at.database, keyring, head!)).flaw).toBeNull();
  expect((await verifyAudit(at.database, keyring, { ...head!, position: 9 })).flaw).toMatchObject({
    kind: 'head',
  });
  expect((await verifyAudit(at.database, keyring, { ...head!, hash: 'ab' })).flaw).toMatchObject({
    kind: 'head',
  });
});
