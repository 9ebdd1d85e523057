import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Kysely, sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as namesAndDrills from '../../src/database/migrations/0052-names-and-drills.ts';
import { ACTORS } from '../../src/database/vocabulary.ts';
import { INSTALLATION, PROGRAM, VIEWER } from '../../src/http/environment-principals.ts';
import { personNameSchema } from '../../src/people/names.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

const insert = (name: string) =>
  sql`insert into people (name, login, role, created_by) values (${name}, ${`${name}@example.com`}, 'viewer', 'x')`.execute(
    at.database,
  );

test.each(ACTORS)('nobody can be called %s, by a request or in the database', async (name) => {
  expect(personNameSchema.safeParse(name).success).toBe(false);
  await expect(insert(name)).rejects.toMatchObject({ code: '23514' });
});

test('no part of the service writes the audit log under another name', () => {
  const root = fileURLToPath(new URL('../../src', import.meta.url));
  const written = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.includes('migrations'))
    .flatMap((file) => [
      ...readFileSync(`${root}/${file}`, 'utf8').matchAll(/\b(?:actor:|actor =|ACTOR =) '([^']+)'/g),
    ])
    .map(([, name]) => name!);
  expect(written).toContain('canary');
  const holders = [INSTALLATION, PROGRAM, VIEWER].map(({ name }) => name);
  expect([...written, ...holders].filter((name) => !(ACTORS as readonly string[]).includes(name))).toEqual(
    [],
  );
});

test('somebody who is called so already gets another name, and the audit log says so', async () => {
  const undo = [
    'alter table people drop constraint people_name_reserved',
    'alter table snapshot_drills drop column cancelled',
  ];
  for (const statement of undo) await sql.raw(statement).execute(at.database);
  for (const name of ['billing', 'canary', 'canary-bird']) await insert(name);
  await namesAndDrills.up(at.database as unknown as Kysely<unknown>);
  const { rows } = await sql<{ name: string; login: string }>`
    select name, login from people order by login`.execute(at.database);
  expect(rows).toEqual([
    { name: expect.stringMatching(/^billing-[0-9a-f]{8}$/), login: 'billing@example.com' },
    { name: 'canary-bird', login: 'canary-bird@example.com' },
    { name: expect.stringMatching(/^canary-[0-9a-f]{8}$/), login: 'canary@example.com' },
  ]);
  const audited = await at.database
    .selectFrom('audit_log')
    .select('details')
    .where('action', '=', 'person.rename')
    .execute();
  expect(audited.map(({ details }) => details.name).sort()).toEqual([rows[0]!.name, rows[2]!.name]);
});
