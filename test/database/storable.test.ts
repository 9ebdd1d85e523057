import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../src/database/migrations.ts';
import { cutText, jsonText } from '../../src/database/storable.ts';
import { InvalidInputError } from '../../src/errors.ts';
import { openEmpty } from './support.ts';

const HOSTILE = 'a\u0000b\ud800c\udfff😀';
const KEPT = 'a\ufffdb\ufffdc\ufffd😀';

describe('jsonText', () => {
  const read = (value: object) => JSON.parse(jsonText(value));

  it('replaces what Postgres refuses, in values and keys, and nothing else', () => {
    const value = { a: ['x\u0000', '😀', 'y\ud83d'], '\u0000k': null, n: 1.5, t: true, d: new Date(0) };
    expect(read(value)).toEqual({
      a: ['x\ufffd', '😀', 'y\ufffd'],
      '\ufffdk': null,
      n: 1.5,
      t: true,
      d: '1970-01-01T00:00:00.000Z',
    });
  });

  it('keeps keys such as __proto__ and toJSON', () => {
    const value = JSON.parse('{"__proto__":{"polluted":true},"toJSON":{"a":"\\u0000"},"a":1}');
    expect(jsonText(value)).toBe('{"__proto__":{"polluted":true},"toJSON":{"a":"\ufffd"},"a":1}');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('refuses 200,000 levels', () => {
    const deep = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
    expect(() => jsonText({ deep })).toThrow(InvalidInputError);
  });
});

describe('cutText', () => {
  it.each([
    ['abc', 3, 'abc'],
    ['abcd', 3, 'abc'],
    ['😀😀😀😀', 3, '😀😀😀'],
    ['ab😀', 3, 'ab😀'],
    ['', 0, ''],
    ['a', 0, ''],
  ])('%j at %i → %j', (text, length, kept) => {
    expect(cutText(text, length)).toBe(kept);
  });
});

describe('the database’s boundary', () => {
  let at: Awaited<ReturnType<typeof openEmpty>>;
  beforeAll(async () => {
    at = await openEmpty();
    await migrate(at.database);
  });
  afterAll(() => at.close());

  it('accepts any text as a parameter: alone, in a list, by the query builder or in raw SQL', async () => {
    const { rows } = await sql<Record<string, unknown>>`
      select ${HOSTILE}::text as one, ${[HOSTILE, 'x']}::text[] as list, ${7}::int as number,
        ${Buffer.from([0])}::bytea as bytes`.execute(at.database);
    expect(rows).toEqual([{ one: KEPT, list: [KEPT, 'x'], number: 7, bytes: Buffer.from([0]) }]);
    await at.database
      .insertInto('workers')
      .values({ worker_id: HOSTILE, host: 'h', process: 'p', concurrency: 1 })
      .execute();
    const worker = await at.database
      .selectFrom('workers')
      .select('worker_id')
      .where('worker_id', '=', HOSTILE)
      .executeTakeFirst();
    expect(worker).toEqual({ worker_id: KEPT });
  });
});
