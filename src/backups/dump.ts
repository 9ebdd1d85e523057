import type pg from 'pg';
import type { SealingKey } from '../keys/sealed-text.ts';
import { BackupError } from './backup-error.ts';
import { FORMAT, type Header, LONGEST_LINE, MARKS, type Side, tableKey, toLine } from './format.ts';
import { createMac } from './mac.ts';
import { STATE_TABLE } from './state-table.ts';
import { listTables, quoted, type Table } from './tables.ts';

/** The databases of an installation; `state` is Pulumi's, undefined if its state is not in Postgres. */
export interface Sources {
  service: pg.Client;
  state: pg.Client | undefined;
}

const BATCH = 500;

/**
 * Writes both databases as lines. Each is read in one snapshot, and nothing has to wait meanwhile. The
 * snapshot of Pulumi's state is taken first, a few milliseconds before the other: whatever is in a state is
 * then named by a row, and what a state lacks is imported (src/runbooks/import.ts).
 * @param key of the passphrase, which proves who has made the backup
 * @throws BackupError if a row is longer than a restore takes
 */
export async function* dump(sources: Sources, key: SealingKey): AsyncGenerator<string> {
  const mac = createMac(key);
  const rows: Record<string, number> = {};
  for await (const text of dumpTables(sources, rows)) {
    mac.update(text);
    yield text;
  }
  yield toLine(MARKS.end, { rows, mac: mac.digest('hex') });
}

async function* dumpTables(
  { service, state }: Sources,
  counts: Record<string, number>,
): AsyncGenerator<string> {
  for (const client of [state, service]) {
    await client?.query('begin isolation level repeatable read read only');
    // A snapshot is taken by the first statement.
    await client?.query('select 1');
  }
  yield toLine(MARKS.header, await readHeader(service, state));
  for (const [side, client] of [
    ['service', service],
    ['state', state],
  ] as const) {
    if (client === undefined) continue;
    // Others may keep something beside Pulumi's state.
    for (const table of await listTables(client))
      if (side === 'service' || table.name === STATE_TABLE) yield* dumpTable(client, { side, table }, counts);
  }
  for (const client of [service, state]) await client?.query('commit');
}

async function* dumpTable(
  client: pg.Client,
  { side, table }: { side: Side; table: Table },
  counts: Record<string, number>,
): AsyncGenerator<string> {
  const named = { side, table: table.name };
  yield toLine(MARKS.table, named);
  const columns = table.columns.map(quoted).join(', ');
  await client.query(
    `declare dumped cursor for select to_jsonb(r)::text as row from (select ${columns} from ${quoted(table.name)}) r`,
  );
  let count = 0;
  for (;;) {
    const { rows } = await client.query<{ row: string }>(`fetch ${BATCH} from dumped`);
    if (rows.length === 0) break;
    count += rows.length;
    if (rows.some(({ row }) => row.length >= LONGEST_LINE))
      throw new BackupError(`A row of the table ${table.name} is longer than a restore takes`);
    yield rows.map(({ row }) => toLine(MARKS.row, row)).join('');
  }
  await client.query('close dumped');
  counts[tableKey(named)] = count;
}

async function readHeader(service: pg.Client, state: pg.Client | undefined): Promise<Header> {
  const { rows } = await service.query<{ schema: string; mode: Header['mode']; canary: string | null }>(
    `select (select max(name) from kysely_migration) as schema, mode, encode(canary, 'base64') as canary
     from installation`,
  );
  const [own] = rows;
  if (own === undefined)
    throw new Error('This database belongs to no installation yet: there is nothing to back up');
  return {
    kind: 'agent-stacks backup',
    format: FORMAT,
    at: new Date().toISOString(),
    schema: own.schema,
    mode: own.mode,
    canary: own.canary?.replaceAll('\n', '') ?? null,
    stateDatabase: state === undefined ? null : (state.database ?? null),
  };
}
