import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LogLevel, levelOf, NOTABLE } from '../../../src/operations/events/log-levels.ts';
import { type LogPosition, readLogWindow, searchLog } from '../../../src/operations/events/log-page.ts';
import { type OperationsFixture, openOperations, order } from '../../support/operations-fixture.ts';

/** Lines as the engine, Ansible and the service write them. */
const LINES: [line: string, level: LogLevel][] = [
  ['creating server (Server): done', 'info'],
  ['creating server (Server): failed', 'error'],
  ['error: POST /servers: other side closed', 'error'],
  ['  of which no line is an error: at all', 'info'],
  ['warning: the image is old', 'warning'],
  ['… 12 lines omitted: output came faster than it could be recorded', 'warning'],
  ['base : Install packages: ok (1.2 s)', 'info'],
  ['base : Install packages: failed (1.2 s)', 'error'],
  ['base : Look for a file: failed, ignored (0.2 s)', 'warning'],
  ['tailnet : Join: the server cannot be reached (30.0 s)', 'error'],
  ['agent : Wait: not yet, try 10 (20.0 s)', 'warning'],
  ['The server did not join the tailnet in time: replacing it', 'warning'],
  ['100% of it_is here', 'info'],
];

let at: OperationsFixture;
let operationId: string;
beforeAll(async () => {
  at = await openOperations();
  operationId = (await order(at, 'a1')).operation_id;
  // The first event is the order's own.
  await sql`insert into operation_events (operation_id, sequence, attempt, type, data)
    select ${operationId}, n + 1, 1, 'log', jsonb_build_object('line', line)
    from unnest(${LINES.map(([line]) => line)}::text[]) with ordinality as lines (line, n)`.execute(
    at.database,
  );
  await sql`insert into operation_events (operation_id, sequence, attempt, type, data)
    select ${operationId}, n, 1, 'log', jsonb_build_object('line', 'line ' || n)
    from generate_series(${LINES.length + 2}::int, 1000) n`.execute(at.database);
});
afterAll(() => at.close());

const window = async (position: LogPosition) => {
  const { events, last } = await readLogWindow(at.database, { operationId, position, limit: 100 });
  return { first: events[0]?.sequence, end: events.at(-1)?.sequence, last };
};
const search = async (text: string, level: LogLevel = 'info', limit = 100) =>
  (await searchLog(at.database, operationId, { text, level }, limit)).map(({ data }) => data.line);

test.each<[LogPosition, first: number | undefined, end: number | undefined]>([
  [{ at: 'end' }, 901, 1000],
  [{ at: 'before', line: 901 }, 801, 900],
  [{ at: 'before', line: 50 }, 1, 49],
  [{ at: 'after', line: 0 }, 1, 100],
  [{ at: 'after', line: 950 }, 951, 1000],
  [{ at: 'after', line: 1000 }, 901, 1000],
  [{ at: 'after', line: 2_147_483_647 }, 901, 1000],
  [{ at: 'line', line: 500 }, 460, 559],
  [{ at: 'line', line: 3 }, 1, 100],
  [{ at: 'line', line: 5000 }, undefined, undefined],
])('a part of the log: %j', async (position, first, end) => {
  expect(await window(position)).toEqual({ first, end, last: 1000 });
});

test('a search finds a text in any case, and takes no letter for a pattern', async () => {
  expect(await search('INSTALL pack')).toHaveLength(2);
  expect(await search('100%')).toEqual(['100% of it_is here']);
  expect(await search('t_i')).toEqual(['100% of it_is here']);
  expect(await search('line 99', 'info', 5)).toHaveLength(6);
});

test('Postgres and JavaScript agree on how bad each line is', async () => {
  expect(LINES.map(([line]) => [line, levelOf(line)])).toEqual(LINES);
  const ofLevel = (levels: LogLevel[]) =>
    LINES.filter(([, level]) => levels.includes(level)).map(([line]) => line);
  expect(await search('', 'error')).toEqual(ofLevel(['error']));
  expect(await search('', 'warning')).toEqual(ofLevel(['error', 'warning']));
});

test('errors and warnings are found by an index, whose condition is the search’s own', async () => {
  const conditionOf = async (index: string) => {
    const { rows } = await sql<{ condition: string }>`
      select pg_get_expr(indpred, indrelid) as condition from pg_index where indexrelid = ${index}::regclass`.execute(
      at.database,
    );
    return rows[0]?.condition;
  };
  await sql`create index probe on operation_events (sequence) where type = 'log' and ${sql.raw(NOTABLE)}`.execute(
    at.database,
  );
  expect(await conditionOf('operation_events_notable')).toBe(await conditionOf('probe'));
});
