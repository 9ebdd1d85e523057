import { expect, test } from 'vitest';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { NO_POOL, poolSizesAt, readPool } from '../../src/config/pool.ts';

const read = (variables: Record<string, string>) => {
  const reader = new EnvironmentReader(variables);
  return { pool: readPool(reader), problems: reader.problems };
};

/** The pool as it is where the operator has said one. */
const readSaid = (variables: Record<string, string>) => {
  const { pool, problems } = read(variables);
  return { pool: { ...pool, entries: pool.entries ?? NO_POOL.entries }, problems };
};

test('none says that there is no pool', () => {
  expect(read({ POOL: 'none' }).pool.entries).toEqual([]);
});

test('without settings nothing is said', () => {
  expect(read({})).toEqual({
    pool: { entries: undefined, timezone: 'Etc/UTC', refills: 2, eurosPerHour: undefined },
    problems: [],
  });
});

test('an entry names a region or a location, and a number after = or :', () => {
  const { pool, problems } = read({ POOL: 'eu-central/starter=3, us-east/pro=1,hel1/max:2' });
  expect(problems).toEqual([]);
  expect(pool.entries).toEqual([
    { location: 'nbg1', plan: 'starter', size: 3, hours: undefined },
    { location: 'ash', plan: 'pro', size: 1, hours: undefined },
    { location: 'hel1', plan: 'max', size: 2, hours: undefined },
  ]);
  const twice = readSaid({ POOL: 'eu-central/starter=3,nbg1/starter=4' }).pool;
  expect(poolSizesAt(twice, new Date())).toEqual([{ location: 'nbg1', plan: 'starter', size: 4 }]);
});

test('unknown regions and plans are named together', () => {
  const { problems } = read({ POOL: 'moon/starter=1, nbg1/huge=1' });
  expect(problems).toEqual([
    expect.stringMatching(
      /^POOL names an unknown region moon; known: us-east.* unknown plan huge; known: st/,
    ),
  ]);
});

test('the highest entry that counts at the moment decides, in the time zone of the hours', () => {
  const { pool, problems } = readSaid({
    POOL: 'fsn1/starter:1, fsn1/starter:5@mon-fri/08:00-18:00,nbg1/pro:2@sat/00:00-24:00',
    POOL_TIMEZONE: 'Europe/Berlin',
  });
  expect(problems).toEqual([]);
  const sizes = (at: string) => poolSizesAt(pool, new Date(at)).map(({ size }) => size);
  // Monday, 30 November 2026; Berlin is an hour ahead.
  expect(sizes('2026-11-30T06:59:00Z')).toEqual([1, 0]);
  expect(sizes('2026-11-30T07:00:00Z')).toEqual([5, 0]);
  expect(sizes('2026-11-30T17:00:00Z')).toEqual([1, 0]);
  expect(sizes('2026-12-04T23:30:00Z')).toEqual([1, 2]);
});

test.each([
  'fsn1',
  'fsn1/starter',
  'fsn1/starter=1000',
  'fsn1/starter:-1',
  'fsn1/starter:1@mon-fri',
  'fsn1/starter:1@fri-mon/08:00-18:00',
  'fsn1/starter:1@18:00-08:00',
  'fsn1/starter:1@08:00-25:00',
  'fsn1/starter:1,,nbg1/pro:1',
])('refuses %s', (POOL) => {
  expect(read({ POOL }).problems).toEqual([expect.stringMatching(/^POOL must be none, or entries such as/)]);
});

test('refuses an unknown time zone, no places and a malformed amount', () => {
  const { problems } = read({ POOL_TIMEZONE: 'Nowhere/At-All', POOL_REFILLS: '0', POOL_EUR_PER_HOUR: '-1' });
  expect(problems.map((text) => text.split(' ')[0])).toEqual([
    'POOL_TIMEZONE',
    'POOL_REFILLS',
    'POOL_EUR_PER_HOUR',
  ]);
});
