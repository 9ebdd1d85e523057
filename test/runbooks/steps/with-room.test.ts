import { expect, test } from 'vitest';
import { LIMIT_REACHED, RetryableError, ShortageError } from '../../../src/errors.ts';
import type { SlotParts } from '../../../src/operations/runbook-parts.ts';
import { withRoom } from '../../../src/runbooks/steps/with-room.ts';

const slots = (room: boolean) => ({ makeRoom: async () => room }) as SlotParts;
const full = new RetryableError('server_limit exceeded', { failureCode: LIMIT_REACHED });
const fail = (error: Error) => async () => {
  throw error;
};

test('in a full project the operation waits for the place of a slot', async () => {
  await expect(withRoom({ slots: slots(true) }, fail(full))).rejects.toBeInstanceOf(ShortageError);
});

test('without a slot that could make room, and without slots at all, it fails as it is', async () => {
  await expect(withRoom({ slots: slots(false) }, fail(full))).rejects.toBe(full);
  await expect(withRoom({}, fail(full))).rejects.toBe(full);
});

test('no other failure costs a slot', async () => {
  const error = new RetryableError('Hetzner is away');
  await expect(withRoom({ slots: slots(true) }, fail(error))).rejects.toBe(error);
});
