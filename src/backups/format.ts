import { z } from 'zod';
import { BackupError } from './backup-error.ts';

/**
 * A backup is lines of text: the header, then the rows of each table after a line that names it, and at the
 * end how many there were, with a proof of who made it. A file without the end is incomplete.
 */
export const FORMAT = 1;

export const headerSchema = z.object({
  kind: z.literal('agent-stacks backup'),
  format: z.literal(FORMAT, { error: 'was made by a newer version of agent-stacks' }),
  at: z.iso.datetime(),
  /** The newest migration of the service's database. */
  schema: z.string().max(100),
  mode: z.enum(['sandbox', 'live', 'rehearsal']),
  /** A known text, sealed with the installation's passphrase, as base64. */
  canary: z.string().max(1_000).nullable(),
  /** The name of Pulumi's database, which is a part of each key in it; null: its state is not in Postgres. */
  stateDatabase: z.string().max(100).nullable(),
});
export type Header = z.infer<typeof headerSchema>;

const SIDES = ['service', 'state'] as const;
/** Which database a table is in. */
export type Side = (typeof SIDES)[number];

export const tableSchema = z.object({
  side: z.enum(SIDES),
  table: z.string().regex(/^[a-z][a-z0-9_]{0,62}$/),
});
export type TableName = z.infer<typeof tableSchema>;

export const endSchema = z.object({
  rows: z.record(z.string(), z.int().min(0)),
  /** Of every line before, under a key of the installation's passphrase. */
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});

/** A line's first letter says what it is. A row is JSON as Postgres writes it, which has no line ends. */
export const MARKS = { header: 'H', table: 'T', row: 'R', end: 'E' } as const;

export const toLine = (mark: string, value: object | string): string =>
  `${mark}${typeof value === 'string' ? value : JSON.stringify(value)}\n`;

export const tableKey = ({ side, table }: TableName): string => `${side} ${table}`;

/** Characters of a row: several times what the largest stack takes. A file must not fill the memory. */
export const LONGEST_LINE = 64 * 1_024 * 1_024;

/**
 * Splits a stream of bytes into lines, without their ends.
 * @throws BackupError if one has no end for `longest` characters
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  longest = LONGEST_LINE,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const chunk of chunks) {
    const [first = '', ...lines] = decoder.decode(chunk, { stream: true }).split('\n');
    rest += first;
    if (rest.length > longest) throw new BackupError('The backup is damaged: a line of it is too long');
    const last = lines.pop();
    if (last === undefined) continue;
    yield rest;
    yield* lines;
    rest = last;
  }
  if (rest !== '') yield rest;
}
