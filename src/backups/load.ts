import type { Hmac } from 'node:crypto';
import type pg from 'pg';
import type { z } from 'zod';
import type { SealingKey } from '../keys/sealed-text.ts';
import { BackupError } from './backup-error.ts';
import {
  endSchema,
  type Header,
  headerSchema,
  MARKS,
  readLines,
  type TableName,
  tableKey,
  tableSchema,
} from './format.ts';
import { createMac, hasMac } from './mac.ts';
import { listTables, quoted, type Table } from './tables.ts';

/** Where a backup is loaded to. `state` undefined: what is Pulumi's goes into the same database. */
export interface Targets {
  service: pg.Client;
  state: pg.Client;
}

export interface Loaded {
  header: Header;
  rows: number;
}

const MOST_ROWS = 500;
const MOST_CHARACTERS = 4_000_000;

/** A backup whose header was read. */
export interface OpenedBackup {
  header: Header;
  lines: AsyncGenerator<string>;
  /** Of the lines that were read, under each key that may have made it. */
  macs: Hmac[];
}

/**
 * @param keys of the passphrases under which it may have been made
 * @throws BackupError if it is no backup, or one of a newer version
 */
export async function openBackup(
  chunks: AsyncIterable<Uint8Array>,
  keys: readonly SealingKey[],
): Promise<OpenedBackup> {
  const lines = readLines(chunks);
  const macs = keys.map(createMac);
  try {
    const { value: first } = await lines.next();
    const header = readHeader(first);
    updateAll(macs, first as string);
    return { header, lines, macs };
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw new BackupError('The backup is damaged, or is none', { cause });
  }
}

/**
 * Loads a backup into databases whose tables are there and empty, in one transaction each, which the caller
 * has begun.
 * @throws BackupError if the backup is incomplete, a table of it does not exist, or somebody else made it
 */
export async function load(targets: Targets, { header, lines, macs }: OpenedBackup): Promise<Loaded> {
  const writer = createWriter(targets, header);
  let ended: z.infer<typeof endSchema> | undefined;
  for await (const line of lines) {
    if (ended !== undefined) throw new BackupError('The backup is damaged: it goes on after its end');
    const [mark, text] = [line[0], line.slice(1)];
    if (mark !== MARKS.end) updateAll(macs, line);
    if (mark === MARKS.table) await writer.begin(parse(text, tableSchema));
    else if (mark === MARKS.row) await writer.add(text);
    else if (mark === MARKS.end) ended = parse(text, endSchema);
    else throw new BackupError('The backup is damaged: a line of it is of no known kind');
  }
  const counts = await writer.end();
  if (ended === undefined) throw new BackupError('The backup is incomplete: it has no end');
  for (const [key, count] of Object.entries(ended.rows))
    if (counts.get(key) !== count)
      throw new BackupError(
        `The backup is damaged: ${key} has ${counts.get(key) ?? 0} rows instead of ${count}`,
      );
  if (!hasMac(macs, ended.mac))
    throw new BackupError('The backup was not made by this installation, or somebody has changed it');
  return { header, rows: [...counts.values()].reduce((sum, count) => sum + count, 0) };
}

function updateAll(macs: readonly Hmac[], line: string): void {
  for (const mac of macs) mac.update(`${line}\n`);
}

function readHeader(line: unknown): Header {
  if (typeof line !== 'string' || line[0] !== MARKS.header)
    throw new BackupError('This is no backup of agent-stacks');
  return parse(line.slice(1), headerSchema);
}

function parse<T>(
  text: string,
  schema: {
    safeParse(value: unknown): { success: boolean; data?: T; error?: { issues: { message: string }[] } };
  },
): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BackupError('The backup is damaged: a line of it is cut', { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new BackupError(`The backup ${parsed.error?.issues[0]?.message ?? 'is malformed'}`);
  return parsed.data as T;
}

/** Writes rows in batches. Keys of Pulumi's state begin with its database's name, which may have changed. */
function createWriter({ service, state }: Targets, header: Header) {
  const counts = new Map<string, number>();
  const tables = new Map<pg.Client, Promise<Table[]>>();
  let current: { client: pg.Client; named: TableName; table: Table } | undefined;
  let batch: string[] = [];
  let size = 0;
  const flush = async () => {
    if (current === undefined || batch.length === 0) return;
    const { client, table } = current;
    const columns = table.columns.map(quoted).join(', ');
    await client.query(
      `insert into ${quoted(table.name)} (${columns}) overriding system value
       select ${columns} from jsonb_populate_recordset(null::${quoted(table.name)}, $1::jsonb)`,
      [`[${batch.join(',')}]`],
    );
    [batch, size] = [[], 0];
  };
  return {
    begin: async (named: TableName) => {
      await flush();
      const client = named.side === 'service' ? service : state;
      const known = tables.get(client) ?? listTables(client);
      tables.set(client, known);
      const table = (await known).find(({ name }) => name === named.table);
      if (table === undefined)
        throw new BackupError(`The backup has a table that is not known here: ${named.table}`);
      await client.query(`alter table ${quoted(table.name)} disable trigger user`);
      current = { client, named, table };
      counts.set(tableKey(named), 0);
    },
    add: async (row: string) => {
      if (current === undefined) throw new BackupError('The backup is damaged: a row of it has no table');
      const key = tableKey(current.named);
      counts.set(key, (counts.get(key) ?? 0) + 1);
      batch.push(row);
      size += row.length;
      if (batch.length >= MOST_ROWS || size >= MOST_CHARACTERS) await flush();
    },
    end: async () => {
      await flush();
      for (const [client, known] of tables)
        for (const { name } of await known) {
          await client.query(`alter table ${quoted(name)} enable trigger user`);
          await continueNumbers(client, name);
        }
      await renameState(state, header.stateDatabase);
      return counts;
    },
  };
}

/** Numbers that Postgres gives go on after the highest one. */
async function continueNumbers(client: pg.Client, table: string): Promise<void> {
  const { rows } = await client.query<{ column: string }>(
    `select attname as "column" from pg_attribute where attrelid = $1::regclass and attidentity <> ''`,
    [quoted(table)],
  );
  for (const { column } of rows)
    await client.query(
      `select setval(pg_get_serial_sequence($1, $2), greatest(max(${quoted(column)}), 1), max(${quoted(column)}) is not null) from ${quoted(table)}`,
      [quoted(table), column],
    );
}

async function renameState(state: pg.Client, before: string | null): Promise<void> {
  const now = state.database ?? null;
  if (before === null || now === null) return;
  // Nobody holds a lock any more.
  await state.query(`delete from pulumi_state where key like $1`, [`${before}/.pulumi/locks/%`]);
  if (before !== now)
    await state.query(
      `update pulumi_state set key = $2 || substr(key, length($1) + 1) where starts_with(key, $1 || '/')`,
      [before, now],
    );
}
