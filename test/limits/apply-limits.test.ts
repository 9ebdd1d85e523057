import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEFAULT_LIMITS, type Limits } from '../../src/config/limits.ts';
import { applyLimits } from '../../src/limits/apply-limits.ts';
import { type LimitsFixture, openLimits } from './limits-fixture.ts';

let at: LimitsFixture;
beforeAll(async () => {
  at = await openLimits();
});
afterAll(() => at.close());

const stored = async () =>
  (await at.database.selectFrom('breakers').selectAll().orderBy('name').execute()).map((row) =>
    [row.name, row.limit_count, Number(row.limit_percent), row.limit_least, row.limit_euros].join(' '),
  );

test('the migration and the configuration have the same defaults', async () => {
  const migrated = await stored();
  await applyLimits(at.database, DEFAULT_LIMITS);
  expect(await stored()).toEqual(migrated);
  expect(migrated).toEqual(['creates 60 0  ', 'destroys 5 5 1 ', 'spend  0  ', 'suspensions  20 10 ']);
});

test('other limits replace them', async () => {
  const limits: Limits = {
    createsPerHour: 3,
    destroysPerHour: 2,
    destroysPercent: 1,
    eurosPerHour: 1.5,
    suspensionsPerDay: { count: 4 },
  };
  await applyLimits(at.database, limits);
  expect(await stored()).toEqual([
    'creates 3 0  ',
    'destroys 2 1 1 ',
    'spend  0  1.5000',
    'suspensions 4 0  ',
  ]);
});
