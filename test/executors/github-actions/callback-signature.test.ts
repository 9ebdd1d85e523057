import { expect, test } from 'vitest';
import {
  attemptToken,
  isAttemptToken,
  isDigest,
  signBody,
} from '../../../src/executors/github-actions/callback-signature.ts';
import { Secret } from '../../../src/secret.ts';

test('a body is signed as in GitHub’s published example', () => {
  expect(signBody(new Secret("It's a Secret to Everybody"), 'Hello, World!')).toBe(
    '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
  );
});

test('only the complete digest matches, in either case', () => {
  const digest = Buffer.alloc(32, 7);
  const hex = digest.toString('hex');
  expect(isDigest(hex, digest)).toBe(true);
  expect(isDigest(hex.replaceAll('7', '7').toUpperCase(), digest)).toBe(true);
  for (const wrong of [
    undefined,
    '',
    hex.slice(1),
    `${hex}0`,
    `${hex} `,
    `sha256=${hex}`,
    `g${hex.slice(1)}`,
  ])
    expect(isDigest(wrong, digest)).toBe(false);
  expect(isDigest('0'.repeat(64), digest)).toBe(false);
});

test('an attempt’s token is bound to attempt, operation and secret, and is not a signature', () => {
  const secret = new Secret('s1');
  const name = { operationId: 'o1', attempt: 2 };
  const token = attemptToken(secret, name);
  expect(isAttemptToken(secret, name, token)).toBe(true);
  expect(isAttemptToken(secret, { ...name, attempt: 3 }, token)).toBe(false);
  expect(isAttemptToken(secret, { ...name, operationId: 'o2' }, token)).toBe(false);
  expect(isAttemptToken(new Secret('s2'), name, token)).toBe(false);
  expect(token).not.toBe(signBody(secret, 'o1.2'));
});
