import { expect, test } from 'vitest';
import { defaultEntries } from '../../src/app/pool.ts';

test('one server waits where the demo’s order is placed, on the sandbox’s real machines alone', () => {
  expect(defaultEntries('sandbox', { machines: 'ssh' })).toEqual([
    { location: 'nbg1', plan: 'starter', size: 1, hours: undefined },
  ]);
  expect(defaultEntries('sandbox', { machines: 'simulated' })).toEqual([]);
  expect(defaultEntries('live', { machines: 'ssh' })).toEqual([]);
  expect(defaultEntries('rehearsal', { machines: 'ssh' })).toEqual([]);
});
