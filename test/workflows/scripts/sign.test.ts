import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeJob } from './setup.ts';

test('the second of RFC 4231’s test cases', async () => {
  const { run } = await makeJob();
  expect(
    await run('sign.sh', {
      environment: { GITHUB_CALLBACK_SECRET: 'Jefe' },
      input: 'what do ya want for nothing?',
    }),
  ).toEqual({
    code: 0,
    out: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\n',
    err: '',
  });
});

test.for([
  ['one byte', 'k'],
  ['a byte less than a block', 'k'.repeat(63)],
  ['a block', 'k'.repeat(64)],
  ['a byte more than a block', 'k'.repeat(65)],
  ['letters of several bytes', 'ü🙂'.repeat(11)],
  ['what the shell and printf read', '%s\\x41\\n%%`$()\'" \t*\n'],
])('a key of %s signs as any HMAC does', async ([, key]) => {
  const { run } = await makeJob();
  const input = Buffer.from([0, 10, 13, 37, 92, 128, 255, 10]);
  const { out } = await run('sign.sh', { environment: { GITHUB_CALLBACK_SECRET: key! }, input });
  expect(out).toBe(`${createHmac('sha256', key!).update(input).digest('hex')}\n`);
});

test('a machine without openssl signs nothing', async () => {
  const { run, replace } = await makeJob();
  await replace('openssl', 'exit 127');
  expect(await run('sign.sh', { input: 'body' })).toMatchObject({ code: 127 });
});
