import { expect, test } from 'vitest';
import {
  CancelledError,
  ConflictError,
  InvalidInputError,
  LostError,
  NotFoundError,
  PermanentError,
  RetryableError,
} from '../../src/errors.ts';
import { retryPolicy } from '../../src/operations/retry-policy.ts';
import { StackLockedError, StackNotFoundError } from '../../src/pulumi/errors.ts';

const tries = { retryCount: 0, maxRetries: 3, lostCount: 0 };

test('a failed try is retried with growing delays, and the third failure is final', () => {
  const error = new RetryableError('no answer');
  const decisions = [0, 1, 2].map((retryCount) => retryPolicy(error, { ...tries, retryCount }));
  expect(decisions).toEqual([
    { kind: 'retry', delaySeconds: 15 },
    { kind: 'retry', delaySeconds: 60 },
    { kind: 'give-up' },
  ]);
});

test('a lost try is repeated ten times, regardless of earlier failures', () => {
  const kinds = Array.from(
    { length: 11 },
    (_, lostCount) => retryPolicy(new LostError('died'), { ...tries, retryCount: 2, lostCount }).kind,
  );
  expect(kinds).toEqual([...Array<string>(10).fill('repeat'), 'give-up']);
});

test('delays never exceed five minutes', () => {
  for (const lostCount of [4, 9]) {
    expect(retryPolicy(new LostError('died'), { ...tries, lostCount })).toEqual({
      kind: 'repeat',
      delaySeconds: 300,
    });
  }
});

test('losses do not count as failures', () => {
  expect(retryPolicy(new RetryableError('x'), { ...tries, lostCount: 9 }).kind).toBe('retry');
});

test.each([
  [new PermanentError('wrong token'), 'give-up'],
  [new CancelledError('Cancelled'), 'cancelled'],
  [new StackLockedError('locked'), 'retry'],
  [new StackNotFoundError('gone'), 'retry'],
  [new ConflictError('x'), 'retry'],
  [new NotFoundError('x'), 'retry'],
  [new InvalidInputError('x'), 'retry'],
  [new TypeError('a fault of ours'), 'retry'],
  ['text', 'retry'],
  [undefined, 'retry'],
])('%s → %s', (error, kind) => {
  expect(retryPolicy(error, tries).kind).toBe(kind);
});
