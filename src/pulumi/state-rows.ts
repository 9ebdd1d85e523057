import pg from 'pg';

export interface StateRow {
  key: string;
  /** Undefined or null: the state has nothing there. */
  value: unknown;
}

/** Decoded by Postgres, so that the states themselves, which may be large, stay there. */
const VALUES = `select key,
    convert_from(decode(nullif(data->>'data', ''), 'base64'), 'UTF8')::jsonb #> $2 as value
  from pulumi_state where key like any($1) order by key`;

/**
 * Reads one value of every state whose key is like one of the patterns. A state that cannot be read is left
 * out. `path`: as Postgres writes it, `{checkpoint,latest}`.
 */
export async function readStates(
  on: Pick<pg.Pool, 'query'>,
  path: string,
  patterns: readonly string[],
): Promise<StateRow[]> {
  const read = async (wanted: readonly string[]) => (await on.query<StateRow>(VALUES, [wanted, path])).rows;
  try {
    return await read(patterns);
  } catch (error) {
    if (!isDataException(error)) throw error;
  }
  const listed = await on.query<{ key: string }>('select key from pulumi_state where key like any($1)', [
    patterns,
  ]);
  const rows: StateRow[] = [];
  for (const { key } of listed.rows)
    try {
      rows.push(...(await read([key])));
    } catch (error) {
      if (!isDataException(error)) throw error;
    }
  return rows;
}

/** Class 22 of Postgres's codes: what is stored is not base64, UTF-8 or JSON. */
const isDataException = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code?.startsWith('22') === true;
