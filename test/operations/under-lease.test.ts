import { expect, test } from 'vitest';
import { LostError } from '../../src/errors.ts';
import { underLease } from '../../src/operations/under-lease.ts';

const { signal: stopping } = new AbortController();

test('a lease that has run out is not renewed: the work is lost', async () => {
  let renewals = 0;
  // So short that it has run out before the first beat, as after a pause of the process.
  const renew = async () => {
    renewals += 1;
  };
  const ended = await underLease({ leaseSeconds: 1, limitSeconds: 60, renew, stopping }, ({ signal }) => {
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  expect(ended).toMatchObject({ status: 'lost', error: expect.any(LostError) });
  expect(renewals).toBe(0);
});
