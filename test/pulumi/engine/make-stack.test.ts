import { expect, test } from 'vitest';
import { seedProvider } from '../../../src/pulumi/engine/make-stack.ts';

const KEY = 'awskms://k?region=eu-central-1';

test.each([
  // A key that cannot be used yet keeps no order waiting.
  ['passphrase', KEY, 'passphrase'],
  [KEY, KEY, KEY],
  [undefined, KEY, KEY],
  // What a lost key encrypts is of no use to a new stack.
  ['hashivault://lost', KEY, KEY],
  [KEY, 'passphrase', 'passphrase'],
])(
  'beside a foundation under %s, with %s configured, a stack begins under %s',
  async (present, url, begins) => {
    const state = { secretsProvider: async () => present };
    expect(await seedProvider({ state, secrets: { url } }, 'foundation-default')).toBe(begins);
  },
);
