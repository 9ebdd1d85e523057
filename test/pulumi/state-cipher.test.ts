import { expect, test } from 'vitest';
import { reencrypt, StateKeys, UnreadableStateError } from '../../src/pulumi/state-cipher.ts';
import { Secret } from '../../src/secret.ts';

const one = { id: 'one', passphrase: new Secret('the first passphrase') };
const other = { id: 'other', passphrase: new Secret('the second passphrase') };
const keys = new StateKeys();

test('a salt is opened by its own passphrase alone', async () => {
  const created = await keys.create(one);
  expect(created.salt).toMatch(/^v1:[\w+/]{11}=:v1:[\w+/]{16}:[\w+/=]+$/);
  expect(await keys.find(one, created.salt)).toEqual(created);
  expect(await keys.find(other, created.salt)).toBeUndefined();
  for (const odd of ['', 'v1:x', 'v2:AAAAAAAAAAA=:v1:AAAAAAAAAAAAAAAA:AAAA', `${created.salt}x!`])
    expect(await keys.find(one, odd)).toBeUndefined();
});

test('secrets move to another key, and everything else stays to the byte', async () => {
  const [from, to] = [await keys.create(one), await keys.create(other)];
  const word = from.salt.split(':').slice(2).join(':');
  const state = (salt: string, ciphertext: string) =>
    `{"big":12345678901234567890,"salt":"${salt}","a":{"ciphertext": "${ciphertext}"},"b":"v1:not:one","c":"\\u003c"}`;
  const moved = reencrypt(state(from.salt, word), from, to);
  const ciphertext = /"ciphertext": "([^"]+)"/.exec(moved)![1]!;
  expect(moved).toBe(state(to.salt, ciphertext));
  expect(ciphertext).not.toBe(word);
  // What was encrypted is there, under the new key.
  expect(reencrypt(moved, to, from)).toContain('"ciphertext": "v1:');
  expect(() => reencrypt(moved, from, to)).toThrow(UnreadableStateError);
});
