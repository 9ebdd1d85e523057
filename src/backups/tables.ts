import type pg from 'pg';

/** What says how processes are now, and nothing once they are gone. */
const PASSING = ['workers', 'processes', 'checks', 'pool_demands'];

/** A table of the schema `public`, with the columns that can be written. */
export interface Table {
  name: string;
  columns: string[];
}

/** Lists the tables so that each comes after those that its rows refer to. @throws Error for a circle */
export async function listTables(client: pg.ClientBase): Promise<Table[]> {
  const { rows: columns } = await client.query<{ table: string; column: string }>(
    `select c.relname as "table", a.attname as "column"
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
       and not a.attisdropped and a.attgenerated = '' and c.relname <> all($1::text[])
     order by c.relname, a.attnum`,
    [[...PASSING, ...MIGRATIONS]],
  );
  const { rows: references } = await client.query<{ from: string; to: string }>(
    `select distinct conrelid::regclass::text as "from", confrelid::regclass::text as "to"
     from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace and conrelid <> confrelid`,
  );
  const byTable = Map.groupBy(columns, ({ table }) => table);
  const needs = Map.groupBy(references, ({ from }) => from);
  return inOrder([...byTable.keys()], (name) => (needs.get(name) ?? []).map(({ to }) => to)).map((name) => ({
    name,
    columns: byTable.get(name)!.map(({ column }) => column),
  }));
}

function inOrder(names: readonly string[], needs: (name: string) => string[]): string[] {
  const ordered: string[] = [];
  let left = [...names];
  while (left.length > 0) {
    const ready = left.filter((name) => needs(name).every((other) => !left.includes(other)));
    if (ready.length === 0) throw new Error(`Tables refer to each other in a circle: ${left.join(', ')}`);
    ordered.push(...ready);
    left = left.filter((name) => !ready.includes(name));
  }
  return ordered;
}

const MIGRATIONS = ['kysely_migration', 'kysely_migration_lock'];

/** Empties all tables: a new database has rows of its own, such as the installation's. */
export async function clearTables(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and relname <> all($1::text[])`,
    [MIGRATIONS],
  );
  const tables = rows.map(({ name }) => quoted(name)).join(', ');
  if (tables !== '') await client.query(`truncate ${tables} restart identity cascade`);
}

/** A name as SQL has it. The names come from the catalogue or are checked by the format's schema. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** None where there is no such table yet. */
export async function hasRows(client: pg.ClientBase | pg.Pool, table: string, where = ''): Promise<boolean> {
  const known = await client.query('select to_regclass($1) as name', [`public.${table}`]);
  if (known.rows[0]?.name === null) return false;
  return (await client.query(`select from ${table} ${where} limit 1`)).rowCount === 1;
}
